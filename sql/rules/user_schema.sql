-- What a record of the user topic has, wherever it is read from.
DECLARE OR REPLACE VARIABLE user_schema STRING DEFAULT '
  ind BIGINT,
  first_name STRING,
  last_name STRING,
  age BIGINT,
  date_joined TIMESTAMP';
