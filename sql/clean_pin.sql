-- The posts: each distinct record once, what the source could not give as NULL.
CREATE OR REPLACE TABLE pin_data
COMMENT 'Posts, one row for each distinct record of the pin topic'
AS
SELECT
  index AS ind,
  unique_id,
  null_if_any(title, 'No Title Data Available') AS title,
  null_if_any(description, 'No description available Story format') AS description,
  -- `User Info Error` is not a count, and so is NULL too.
  parse_count(follower_count) AS follower_count,
  null_if_any(poster_name, 'User Info Error') AS poster_name,
  null_if_any(tag_list, 'N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e') AS tag_list,
  is_image_or_video,
  null_if_any(image_src, 'Image src error.') AS image_src,
  strip_prefix(save_location, 'Local save in ') AS save_location,
  category
FROM (
  SELECT DISTINCT *
  FROM read_files(
    :raw || '/topics/*.pin/partition=*/*.json',
    format => 'json',
    schema => '
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
      category STRING'
  )
);
