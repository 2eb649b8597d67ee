-- The country of the post whose poster has the most followers of all: one row. Of several such countries, the first in
-- the alphabet.
SELECT
  country,
  follower_count
FROM pin_data
JOIN geo_data USING (ind)
WHERE follower_count IS NOT NULL
ORDER BY follower_count DESC, country
LIMIT 1;
