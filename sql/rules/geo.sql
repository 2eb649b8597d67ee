-- The place and the time of each post. Coordinates are latitude, then longitude.
-- These rules are the same for every source: geo_records has the records of any source.
CREATE OR REPLACE TEMPORARY VIEW cleaned_geo AS
SELECT
  ind,
  country,
  array(latitude, longitude) AS coordinates,
  timestamp
FROM (SELECT DISTINCT * FROM geo_records);
