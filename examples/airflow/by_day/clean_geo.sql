-- Makes the table geo_data from the objects of the day :date, for a connector that writes one folder for each day: its
-- DailyPartitioner makes <raw>/topics/<topic>/year=YYYY/month=MM/day=DD/. The rules for a record are in rules/geo.sql.
SOURCE '../../../sql/rules/geo_schema.sql';

CREATE OR REPLACE TEMPORARY VIEW geo_records AS
SELECT * FROM read_files(
  :raw || '/topics/*.geo/' || date_format(CAST(:date AS DATE), "'year='yyyy/'month='MM/'day='dd") || '/*.json',
  format => 'json',
  schema => geo_schema
);

SOURCE '../../../sql/rules/geo.sql';

CREATE OR REPLACE TABLE geo_data
COMMENT 'Places and times of posts, one row for each distinct record of the geo topic'
AS SELECT * FROM cleaned_geo;
