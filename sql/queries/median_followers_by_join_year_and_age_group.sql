-- The median follower count of posts, by the age group of their user and the year in which the user joined. Posts with
-- an unknown count are ignored.
SELECT
  EXTRACT(YEAR FROM date_joined) AS join_year,
  age_group(age) AS age_group,
  median(CAST(follower_count AS DOUBLE)) AS median_follower_count
FROM pin_data
JOIN user_data USING (ind)
GROUP BY EXTRACT(YEAR FROM date_joined), age_group(age)
ORDER BY join_year, age_group;
