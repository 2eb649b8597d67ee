-- The median follower count of the posts of each age group. Posts with an unknown count are ignored.
SELECT
  age_group(age) AS age_group,
  median(CAST(follower_count AS DOUBLE)) AS median_follower_count
FROM pin_data
JOIN user_data USING (ind)
GROUP BY age_group(age)
ORDER BY age_group;
