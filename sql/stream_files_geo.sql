-- Makes the table streamed_geo_data from the objects of the geo topic, and adds new objects as they arrive.
SOURCE 'rules/geo_schema.sql';

CREATE OR REPLACE TEMPORARY VIEW geo_records AS
SELECT * FROM STREAM read_files(:raw || '/topics/*.geo/partition=*/*.json', format => 'json', schema => geo_schema);

SOURCE 'rules/geo.sql';

CREATE OR REFRESH STREAMING TABLE streamed_geo_data
COMMENT 'Places and times of posts, one row for each distinct record of the geo topic'
AS SELECT * FROM cleaned_geo;
