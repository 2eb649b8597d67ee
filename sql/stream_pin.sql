-- Makes the table streamed_pin_data from the Kinesis stream :stream. Records of the pin topic have the partition key
-- `pin` or one that ends with `.pin`. Endpoint, region and credentials come from the usual places of AWS tools.
SOURCE 'rules/pin_schema.sql';

CREATE OR REPLACE TEMPORARY VIEW pin_messages AS
SELECT data
FROM STREAM read_kinesis(streamName => :stream, initialPosition => 'trim_horizon')
WHERE partitionKey = 'pin' OR partitionKey LIKE '%.pin';

SOURCE 'rules/pin_messages.sql';

SOURCE 'rules/pin.sql';

CREATE OR REFRESH STREAMING TABLE streamed_pin_data
COMMENT 'Posts, one row for each distinct record of the pin topic'
AS SELECT * FROM cleaned_pin;
