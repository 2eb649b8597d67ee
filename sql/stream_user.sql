-- Makes the table streamed_user_data from the Kinesis stream :stream. Records of the user topic have the partition key
-- `user` or one that ends with `.user`. Endpoint, region and credentials come from the usual places of AWS tools.
SOURCE 'rules/user_schema.sql';

CREATE OR REPLACE TEMPORARY VIEW user_messages AS
SELECT data
FROM STREAM read_kinesis(streamName => :stream, initialPosition => 'trim_horizon')
WHERE partitionKey = 'user' OR partitionKey LIKE '%.user';

SOURCE 'rules/user_messages.sql';

SOURCE 'rules/user.sql';

CREATE OR REFRESH STREAMING TABLE streamed_user_data
COMMENT 'Users by post, one row for each distinct record of the user topic'
AS SELECT * FROM cleaned_user;
