-- One row: the country of the post whose poster has the most followers. If there are several such countries, the first in
-- alphabetical order.
SELECT
  country,
  follower_count
FROM pin_data
JOIN geo_data USING (ind)
WHERE follower_count IS NOT NULL
ORDER BY follower_count DESC, country
LIMIT 1;
