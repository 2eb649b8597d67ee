-- Makes user_records from user_messages, the messages of a stream. Their column `data` has the bytes of a message.
-- A message that is not a record of the topic fails and goes to the table of rejects. An empty message is filtered.
CREATE OR REPLACE TEMPORARY VIEW user_records AS
SELECT user.*
FROM (
  SELECT from_json(CAST(data AS STRING), user_schema, map('mode', 'FAILFAST')) AS user
  FROM user_messages
  WHERE trim(CAST(data AS STRING)) <> ''
);
