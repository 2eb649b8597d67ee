-- Makes the table geo_data from the objects that were written before the end of the day :date, in UTC. The rules for a record
-- are in rules/geo.sql.
SOURCE '../../../sql/rules/geo_schema.sql';

CREATE OR REPLACE TEMPORARY VIEW geo_records AS
SELECT * FROM read_files(
  :raw || '/topics/*.geo/partition=*/*.json',
  format => 'json',
  schema => geo_schema,
  modifiedBefore => CAST(date_add(CAST(:date AS DATE), 1) AS STRING)
);

SOURCE '../../../sql/rules/geo.sql';

CREATE OR REPLACE TABLE geo_data
COMMENT 'Places and times of posts, one row for each distinct record of the geo topic'
AS SELECT * FROM cleaned_geo;
