-- Makes pin_records from pin_messages, the messages of a stream. Their column `data` has the bytes of a message.
-- A message that is not a record of the topic fails and goes to the table of rejects. An empty message is filtered.
CREATE OR REPLACE TEMPORARY VIEW pin_records AS
SELECT pin.*
FROM (
  SELECT from_json(CAST(data AS STRING), pin_schema, map('mode', 'FAILFAST')) AS pin
  FROM pin_messages
  WHERE trim(CAST(data AS STRING)) <> ''
);
