-- sql/sink_geo.sql over MSK with IAM. Roles and credentials come from the usual places of AWS tools.
CREATE OR REFRESH SINK geo_objects INTO :raw
WITH ('flush.size' = 1000, 'rotate.interval' = '60s')
AS SELECT value
FROM STREAM read_kafka(
  bootstrapServers => :brokers,
  `kafka.security.protocol` => 'SASL_SSL',
  `kafka.sasl.mechanism` => 'AWS_MSK_IAM',
  subscribePattern => '(.*[.])?geo',
  startingOffsets => 'earliest'
);
