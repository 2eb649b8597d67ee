-- The schema of a record of the geo topic, for every source.
DECLARE OR REPLACE VARIABLE geo_schema STRING DEFAULT '
  ind BIGINT,
  timestamp TIMESTAMP,
  latitude DOUBLE,
  longitude DOUBLE,
  country STRING';
