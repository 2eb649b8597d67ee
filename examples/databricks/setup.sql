-- Lets Databricks read the bucket. Run it once, as a user with CREATE EXTERNAL LOCATION and CREATE CATALOG on the metastore.
-- Replace `BUCKET` with the name of the bucket. The storage credential `pinterest` must exist already: README.md,
-- step 2.
CREATE EXTERNAL LOCATION IF NOT EXISTS pinterest
URL 's3://BUCKET/warehouse'
WITH (STORAGE CREDENTIAL pinterest)
COMMENT 'The tables of pinsql';

CREATE CATALOG IF NOT EXISTS pinterest COMMENT 'Posts of the pipeline';

-- The users of the tables. To create tables in the location, a user also needs CREATE EXTERNAL TABLE on it.
GRANT USE CATALOG, USE SCHEMA, SELECT, EXECUTE ON CATALOG pinterest TO `account users`;
