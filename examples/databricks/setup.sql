-- What lets Databricks read the bucket, run once by somebody with CREATE EXTERNAL LOCATION and CREATE CATALOG on the
-- metastore. `BUCKET` stands for the name of the bucket. The storage credential `pinterest` was made before: README.md,
-- step 2.
CREATE EXTERNAL LOCATION IF NOT EXISTS pinterest
URL 's3://BUCKET/warehouse'
WITH (STORAGE CREDENTIAL pinterest)
COMMENT 'The tables of pinsql';

CREATE CATALOG IF NOT EXISTS pinterest COMMENT 'Posts of the pipeline';

-- Whoever is to ask the questions. To make tables over the location, CREATE EXTERNAL TABLE on it is needed besides.
GRANT USE CATALOG, USE SCHEMA, SELECT, EXECUTE ON CATALOG pinterest TO `account users`;
