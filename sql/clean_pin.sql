-- Makes the table pin_data from the objects of the pin topic. The rules for a record are in rules/pin.sql.
SOURCE 'rules/pin_schema.sql';

CREATE OR REPLACE TEMPORARY VIEW pin_records AS
SELECT * FROM read_files(:raw || '/topics/*.pin/partition=*/*.json', format => 'json', schema => pin_schema);

SOURCE 'rules/pin.sql';

CREATE OR REPLACE TABLE pin_data
COMMENT 'Posts, one row for each distinct record of the pin topic'
AS SELECT * FROM cleaned_pin;
