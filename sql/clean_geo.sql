-- Makes the table geo_data from the objects of the geo topic. The rules for a record are in rules/geo.sql.
SOURCE 'rules/geo_schema.sql';

CREATE OR REPLACE TEMPORARY VIEW geo_records AS
SELECT * FROM read_files(:raw || '/topics/*.geo/partition=*/*.json', format => 'json', schema => geo_schema);

SOURCE 'rules/geo.sql';

CREATE OR REPLACE TABLE geo_data
COMMENT 'Places and times of posts, one row for each distinct record of the geo topic'
AS SELECT * FROM cleaned_geo;
