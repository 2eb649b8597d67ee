-- Makes the table streamed_geo_data from the Kafka topics with the name `geo` or a name that ends with `.geo`.
SOURCE 'rules/geo_schema.sql';

CREATE OR REPLACE TEMPORARY VIEW geo_messages AS
SELECT value AS data
FROM STREAM read_kafka(
  bootstrapServers => :brokers,
  subscribePattern => '(.*[.])?geo',
  startingOffsets => 'earliest'
);

SOURCE 'rules/geo_messages.sql';

SOURCE 'rules/geo.sql';

CREATE OR REFRESH STREAMING TABLE streamed_geo_data
COMMENT 'Places and times of posts, one row for each distinct record of the geo topic'
AS SELECT * FROM cleaned_geo;
