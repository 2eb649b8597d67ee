-- Makes geo_records from geo_messages, the messages of a stream. Their column `data` has the bytes of a message.
-- A message that is not a record of the topic fails and goes to the table of rejects. An empty message is filtered.
CREATE OR REPLACE TEMPORARY VIEW geo_records AS
SELECT geo.*
FROM (
  SELECT from_json(CAST(data AS STRING), geo_schema, map('mode', 'FAILFAST')) AS geo
  FROM geo_messages
  WHERE trim(CAST(data AS STRING)) <> ''
);
