-- Makes the table user_data from the objects that were written before the end of the day :date, in UTC. The rules for a record
-- are in rules/user.sql.
SOURCE '../../../sql/rules/user_schema.sql';

CREATE OR REPLACE TEMPORARY VIEW user_records AS
SELECT * FROM read_files(
  :raw || '/topics/*.user/partition=*/*.json',
  format => 'json',
  schema => user_schema,
  modifiedBefore => CAST(date_add(CAST(:date AS DATE), 1) AS STRING)
);

SOURCE '../../../sql/rules/user.sql';

CREATE OR REPLACE TABLE user_data
COMMENT 'Users by post, one row for each distinct record of the user topic'
AS SELECT * FROM cleaned_user;
