-- The schema of a record of the pin topic, for every source.
DECLARE OR REPLACE VARIABLE pin_schema STRING DEFAULT '
  index INT,
  unique_id STRING,
  title STRING,
  description STRING,
  poster_name STRING,
  follower_count STRING,
  tag_list STRING,
  is_image_or_video STRING,
  image_src STRING,
  downloaded INT,
  save_location STRING,
  category STRING';
