-- The records of the pin topic that a stream carries: pin_records from pin_messages, which has the bytes of a message as `data`.
-- A message that is no such record fails, is set apart alone, and goes to the table of rejects. One without content is no record.
CREATE OR REPLACE TEMPORARY VIEW pin_records AS
SELECT pin.*
FROM (
  SELECT from_json(CAST(data AS STRING), pin_schema, map('mode', 'FAILFAST')) AS pin
  FROM pin_messages
  WHERE trim(CAST(data AS STRING)) <> ''
);
