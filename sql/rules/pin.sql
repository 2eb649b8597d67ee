-- The posts: each distinct record once. Placeholders for missing values become NULL.
-- These rules are the same for every source: pin_records has the records of any source.
CREATE OR REPLACE TEMPORARY VIEW cleaned_pin AS
SELECT
  index AS ind,
  unique_id,
  null_if_any(title, 'No Title Data Available') AS title,
  null_if_any(description, 'No description available Story format') AS description,
  -- `User Info Error` is not a count, so it becomes NULL too.
  parse_count(follower_count) AS follower_count,
  null_if_any(poster_name, 'User Info Error') AS poster_name,
  null_if_any(tag_list, 'N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e') AS tag_list,
  is_image_or_video,
  null_if_any(image_src, 'Image src error.') AS image_src,
  strip_prefix(save_location, 'Local save in ') AS save_location,
  category
FROM (SELECT DISTINCT * FROM pin_records);
