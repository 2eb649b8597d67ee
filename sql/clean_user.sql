-- Makes the table user_data from the objects of the user topic. The rules for a record are in rules/user.sql.
SOURCE 'rules/user_schema.sql';

CREATE OR REPLACE TEMPORARY VIEW user_records AS
SELECT * FROM read_files(:raw || '/topics/*.user/partition=*/*.json', format => 'json', schema => user_schema);

SOURCE 'rules/user.sql';

CREATE OR REPLACE TABLE user_data
COMMENT 'Users by post, one row for each distinct record of the user topic'
AS SELECT * FROM cleaned_user;
