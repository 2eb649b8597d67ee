-- The most frequent category of the posts of each age group. Ties are kept.
SELECT *
FROM (
  SELECT age_group(age) AS age_group, category, count(*) AS category_count
  FROM pin_data
  JOIN user_data USING (ind)
  GROUP BY age_group(age), category
)
QUALIFY rank() OVER (PARTITION BY age_group ORDER BY category_count DESC) = 1
ORDER BY age_group, category;
