-- Writes places as objects, unchanged: <raw>/topics/<topic>/partition=<n>/<topic>+<n>+<first offset>.json, from the Kafka topics
-- with the name `geo` or a name that ends with `.geo`. The batch and the stream of files read these objects.
CREATE OR REFRESH SINK geo_objects INTO :raw
WITH ('flush.size' = 1000, 'rotate.interval' = '10s')
AS SELECT value
FROM STREAM read_kafka(
  bootstrapServers => :brokers,
  subscribePattern => '(.*[.])?geo',
  startingOffsets => 'earliest'
);
