-- The category most posted in each year. Ties are kept.
SELECT
  year,
  category,
  count(*) AS category_count
FROM (
  SELECT EXTRACT(YEAR FROM timestamp) AS year, category
  FROM pin_data
  JOIN geo_data USING (ind)
)
GROUP BY year, category
QUALIFY rank() OVER (PARTITION BY year ORDER BY count(*) DESC) = 1
ORDER BY year, category;
