-- Makes the table streamed_user_data from the objects of the user topic, and adds new objects as they arrive.
SOURCE 'rules/user_schema.sql';

CREATE OR REPLACE TEMPORARY VIEW user_records AS
SELECT * FROM STREAM read_files(:raw || '/topics/*.user/partition=*/*.json', format => 'json', schema => user_schema);

SOURCE 'rules/user.sql';

CREATE OR REFRESH STREAMING TABLE streamed_user_data
COMMENT 'Users by post, one row for each distinct record of the user topic'
AS SELECT * FROM cleaned_user;
