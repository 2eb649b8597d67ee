-- Makes the table streamed_pin_data from the Kafka topics with the name `pin` or a name that ends with `.pin`.
SOURCE 'rules/pin_schema.sql';

CREATE OR REPLACE TEMPORARY VIEW pin_messages AS
SELECT value AS data
FROM STREAM read_kafka(
  bootstrapServers => :brokers,
  subscribePattern => '(.*[.])?pin',
  startingOffsets => 'earliest'
);

SOURCE 'rules/pin_messages.sql';

SOURCE 'rules/pin.sql';

CREATE OR REFRESH STREAMING TABLE streamed_pin_data
COMMENT 'Posts, one row for each distinct record of the pin topic'
AS SELECT * FROM cleaned_pin;
