-- Where and when each post was made. Coordinates are latitude, then longitude.
-- These rules are the same for every source: geo_records has the records, wherever they come from.
CREATE OR REPLACE TEMPORARY VIEW cleaned_geo AS
SELECT
  ind,
  country,
  array(latitude, longitude) AS coordinates,
  timestamp
FROM (SELECT DISTINCT * FROM geo_records);
