-- The poster with the most followers in each country. Ties are kept. The highest count in the posts of a poster in the
-- country is their count. Posts with an unknown count are ignored.
SELECT *
FROM (
  SELECT country, poster_name, max(follower_count) AS follower_count
  FROM pin_data
  JOIN geo_data USING (ind)
  WHERE follower_count IS NOT NULL
  GROUP BY country, poster_name
)
QUALIFY rank() OVER (PARTITION BY country ORDER BY follower_count DESC) = 1
ORDER BY country, poster_name;
