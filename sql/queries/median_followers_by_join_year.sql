-- The median follower count of posts, by the year in which their user joined. Posts with an unknown count are ignored.
SELECT
  EXTRACT(YEAR FROM date_joined) AS join_year,
  median(CAST(follower_count AS DOUBLE)) AS median_follower_count
FROM pin_data
JOIN user_data USING (ind)
GROUP BY EXTRACT(YEAR FROM date_joined)
ORDER BY join_year;
