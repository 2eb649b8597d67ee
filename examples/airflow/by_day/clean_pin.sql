-- Makes the table pin_data from the objects of the day :date, for a connector that writes one folder for each day: its
-- DailyPartitioner makes <raw>/topics/<topic>/year=YYYY/month=MM/day=DD/. The rules for a record are in rules/pin.sql.
SOURCE '../../../sql/rules/pin_schema.sql';

CREATE OR REPLACE TEMPORARY VIEW pin_records AS
SELECT * FROM read_files(
  :raw || '/topics/*.pin/' || date_format(CAST(:date AS DATE), "'year='yyyy/'month='MM/'day='dd") || '/*.json',
  format => 'json',
  schema => pin_schema
);

SOURCE '../../../sql/rules/pin.sql';

CREATE OR REPLACE TABLE pin_data
COMMENT 'Posts, one row for each distinct record of the pin topic'
AS SELECT * FROM cleaned_pin;
