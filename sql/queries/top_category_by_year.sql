-- The most frequent category of the posts in each year. Ties are kept.
SELECT *
FROM (
  SELECT EXTRACT(YEAR FROM timestamp) AS year, category, count(*) AS category_count
  FROM pin_data
  JOIN geo_data USING (ind)
  GROUP BY EXTRACT(YEAR FROM timestamp), category
)
QUALIFY rank() OVER (PARTITION BY year ORDER BY category_count DESC) = 1
ORDER BY year, category;
