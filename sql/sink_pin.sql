-- Posts as they were sent, as objects: <raw>/topics/<topic>/partition=<n>/<topic>+<n>+<first offset>.json, from the Kafka topics
-- that are called `pin`, or whose name ends with `.pin`. The batch and the stream of files read what is laid down here.
CREATE OR REFRESH SINK pin_objects INTO :raw
WITH ('flush.size' = 1000, 'rotate.interval' = '10s')
AS SELECT value
FROM STREAM read_kafka(
  bootstrapServers => :brokers,
  subscribePattern => '(.*[.])?pin',
  startingOffsets => 'earliest'
);
