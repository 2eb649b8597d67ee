-- Registers the tables that pinsql writes in the bucket. Columns, comments and properties are in the log of each table, so they
-- are not repeated here. Replace `BUCKET` with the name of the bucket.
CREATE SCHEMA IF NOT EXISTS pinterest.posts COMMENT 'Posts, their places and their users, as pinsql cleans them';

USE pinterest.posts;

CREATE TABLE IF NOT EXISTS pin_data USING DELTA LOCATION 's3://BUCKET/warehouse/default/pin_data';

CREATE TABLE IF NOT EXISTS geo_data USING DELTA LOCATION 's3://BUCKET/warehouse/default/geo_data';

CREATE TABLE IF NOT EXISTS user_data USING DELTA LOCATION 's3://BUCKET/warehouse/default/user_data';

-- The rejects: records that could not be read, each with its place, its bytes and the reason.
CREATE TABLE IF NOT EXISTS pin_data_rejects USING DELTA LOCATION 's3://BUCKET/warehouse/default/pin_data_rejects';

CREATE TABLE IF NOT EXISTS geo_data_rejects USING DELTA LOCATION 's3://BUCKET/warehouse/default/geo_data_rejects';

CREATE TABLE IF NOT EXISTS user_data_rejects USING DELTA LOCATION 's3://BUCKET/warehouse/default/user_data_rejects';
