-- The schema of a record of the user topic, for every source.
DECLARE OR REPLACE VARIABLE user_schema STRING DEFAULT '
  ind BIGINT,
  first_name STRING,
  last_name STRING,
  age BIGINT,
  date_joined TIMESTAMP';
