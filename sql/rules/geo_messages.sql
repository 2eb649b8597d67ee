-- The records of the geo topic that a stream carries: geo_records from geo_messages, which has the bytes of a message as `data`.
-- A message that is no such record fails, is set apart alone, and goes to the table of rejects. One without content is no record.
CREATE OR REPLACE TEMPORARY VIEW geo_records AS
SELECT geo.*
FROM (
  SELECT from_json(CAST(data AS STRING), geo_schema, map('mode', 'FAILFAST')) AS geo
  FROM geo_messages
  WHERE trim(CAST(data AS STRING)) <> ''
);
