-- Where and when each post was made. Coordinates are latitude, then longitude.
CREATE OR REPLACE TABLE geo_data
COMMENT 'Places and times of posts, one row for each distinct record of the geo topic'
AS
SELECT
  ind,
  country,
  array(latitude, longitude) AS coordinates,
  timestamp
FROM (
  SELECT DISTINCT *
  FROM read_files(
    :raw || '/topics/*.geo/partition=*/*.json',
    format => 'json',
    schema => '
      ind BIGINT,
      timestamp TIMESTAMP,
      latitude DOUBLE,
      longitude DOUBLE,
      country STRING'
  )
);
