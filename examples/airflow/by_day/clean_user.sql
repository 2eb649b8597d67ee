-- Makes the table user_data from the objects of the day :date, for a connector that writes one folder for each day: its
-- DailyPartitioner makes <raw>/topics/<topic>/year=YYYY/month=MM/day=DD/. The rules for a record are in rules/user.sql.
SOURCE '../../../sql/rules/user_schema.sql';

CREATE OR REPLACE TEMPORARY VIEW user_records AS
SELECT * FROM read_files(
  :raw || '/topics/*.user/' || date_format(CAST(:date AS DATE), "'year='yyyy/'month='MM/'day='dd") || '/*.json',
  format => 'json',
  schema => user_schema
);

SOURCE '../../../sql/rules/user.sql';

CREATE OR REPLACE TABLE user_data
COMMENT 'Users by post, one row for each distinct record of the user topic'
AS SELECT * FROM cleaned_user;
