-- Makes the table pin_data from the objects that were written before the end of the day :date, in UTC. The rules for a record
-- are in rules/pin.sql.
SOURCE '../../../sql/rules/pin_schema.sql';

CREATE OR REPLACE TEMPORARY VIEW pin_records AS
SELECT * FROM read_files(
  :raw || '/topics/*.pin/partition=*/*.json',
  format => 'json',
  schema => pin_schema,
  modifiedBefore => CAST(date_add(CAST(:date AS DATE), 1) AS STRING)
);

SOURCE '../../../sql/rules/pin.sql';

CREATE OR REPLACE TABLE pin_data
COMMENT 'Posts, one row for each distinct record of the pin topic'
AS SELECT * FROM cleaned_pin;
