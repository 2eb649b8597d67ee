-- What a record of the geo topic has, wherever it is read from.
DECLARE OR REPLACE VARIABLE geo_schema STRING DEFAULT '
  ind BIGINT,
  timestamp TIMESTAMP,
  latitude DOUBLE,
  longitude DOUBLE,
  country STRING';
