-- Who made each post. A user has a row for each of their posts.
CREATE OR REPLACE TABLE user_data
COMMENT 'Users by post, one row for each distinct record of the user topic'
AS
SELECT
  ind,
  first_name || last_name AS user_name,
  age,
  date_joined
FROM (
  SELECT DISTINCT *
  FROM read_files(
    :raw || '/topics/*.user/partition=*/*.json',
    format => 'json',
    schema => '
      ind BIGINT,
      first_name STRING,
      last_name STRING,
      age BIGINT,
      date_joined TIMESTAMP'
  )
);
