-- Makes the table streamed_pin_data from the objects of the pin topic, and adds new objects as they arrive.
SOURCE 'rules/pin_schema.sql';

CREATE OR REPLACE TEMPORARY VIEW pin_records AS
SELECT * FROM STREAM read_files(:raw || '/topics/*.pin/partition=*/*.json', format => 'json', schema => pin_schema);

SOURCE 'rules/pin.sql';

CREATE OR REFRESH STREAMING TABLE streamed_pin_data
COMMENT 'Posts, one row for each distinct record of the pin topic'
AS SELECT * FROM cleaned_pin;
