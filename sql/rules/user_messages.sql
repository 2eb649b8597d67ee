-- The records of the user topic that a stream carries: user_records from user_messages, which has the bytes of a message as `data`.
-- A message that is no such record fails, is set apart alone, and goes to the table of rejects. One without content is no record.
CREATE OR REPLACE TEMPORARY VIEW user_records AS
SELECT user.*
FROM (
  SELECT from_json(CAST(data AS STRING), user_schema, map('mode', 'FAILFAST')) AS user
  FROM user_messages
  WHERE trim(CAST(data AS STRING)) <> ''
);
