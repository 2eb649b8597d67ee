-- Writes users as objects, unchanged: <raw>/topics/<topic>/partition=<n>/<topic>+<n>+<first offset>.json, from the Kafka topics
-- with the name `user` or a name that ends with `.user`. The batch and the stream of files read these objects.
CREATE OR REFRESH SINK user_objects INTO :raw
WITH ('flush.size' = 1000, 'rotate.interval' = '10s')
AS SELECT value
FROM STREAM read_kafka(
  bootstrapServers => :brokers,
  subscribePattern => '(.*[.])?user',
  startingOffsets => 'earliest'
);
