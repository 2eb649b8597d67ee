-- Makes the table streamed_user_data from the Kafka topics with the name `user` or a name that ends with `.user`.
SOURCE 'rules/user_schema.sql';

CREATE OR REPLACE TEMPORARY VIEW user_messages AS
SELECT value AS data
FROM STREAM read_kafka(
  bootstrapServers => :brokers,
  subscribePattern => '(.*[.])?user',
  startingOffsets => 'earliest'
);

SOURCE 'rules/user_messages.sql';

SOURCE 'rules/user.sql';

CREATE OR REFRESH STREAMING TABLE streamed_user_data
COMMENT 'Users by post, one row for each distinct record of the user topic'
AS SELECT * FROM cleaned_user;
