-- The most frequent category of the posts in each country. Ties are kept.
SELECT *
FROM (
  SELECT country, category, count(*) AS category_count
  FROM pin_data
  JOIN geo_data USING (ind)
  GROUP BY country, category
)
QUALIFY rank() OVER (PARTITION BY country ORDER BY category_count DESC) = 1
ORDER BY country, category;
