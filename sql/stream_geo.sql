-- Makes the table streamed_geo_data from the Kinesis stream :stream. Records of the geo topic have the partition key
-- `geo` or one that ends with `.geo`. Endpoint, region and credentials come from the usual places of AWS tools.
SOURCE 'rules/geo_schema.sql';

CREATE OR REPLACE TEMPORARY VIEW geo_messages AS
SELECT data
FROM STREAM read_kinesis(streamName => :stream, initialPosition => 'trim_horizon')
WHERE partitionKey = 'geo' OR partitionKey LIKE '%.geo';

SOURCE 'rules/geo_messages.sql';

SOURCE 'rules/geo.sql';

CREATE OR REFRESH STREAMING TABLE streamed_geo_data
COMMENT 'Places and times of posts, one row for each distinct record of the geo topic'
AS SELECT * FROM cleaned_geo;
