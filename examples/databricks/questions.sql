-- Databricks notebook source
-- MAGIC %md
-- MAGIC # Nine questions about the posts
-- MAGIC Those of `sql/queries/`, asked of the tables that pinsql writes. `tables.sql` and `functions.sql` were run before.

-- COMMAND ----------

USE pinterest.posts;

-- COMMAND ----------

-- The category most posted in each country. Ties are kept.
SELECT *
FROM (
  SELECT country, category, count(*) AS category_count
  FROM pin_data
  JOIN geo_data USING (ind)
  GROUP BY country, category
)
QUALIFY rank() OVER (PARTITION BY country ORDER BY category_count DESC) = 1
ORDER BY country, category;

-- COMMAND ----------

-- The category most posted in each year. Ties are kept.
SELECT *
FROM (
  SELECT EXTRACT(YEAR FROM timestamp) AS year, category, count(*) AS category_count
  FROM pin_data
  JOIN geo_data USING (ind)
  GROUP BY EXTRACT(YEAR FROM timestamp), category
)
QUALIFY rank() OVER (PARTITION BY year ORDER BY category_count DESC) = 1
ORDER BY year, category;

-- COMMAND ----------

-- The poster with the most followers in each country. Ties are kept. A poster counts with the most followers that any of
-- their posts there shows; posts whose count is not known say nothing.
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

-- COMMAND ----------

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

-- COMMAND ----------

-- The category most posted by each age group. Ties are kept.
SELECT *
FROM (
  SELECT age_group(age) AS age_group, category, count(*) AS category_count
  FROM pin_data
  JOIN user_data USING (ind)
  GROUP BY age_group(age), category
)
QUALIFY rank() OVER (PARTITION BY age_group ORDER BY category_count DESC) = 1
ORDER BY age_group, category;

-- COMMAND ----------

-- The median follower count of the posts of each age group. Posts whose count is not known say nothing.
SELECT
  age_group(age) AS age_group,
  median(CAST(follower_count AS DOUBLE)) AS median_follower_count
FROM pin_data
JOIN user_data USING (ind)
GROUP BY age_group(age)
ORDER BY age_group;

-- COMMAND ----------

-- How many users joined in each year: rows of user_data, as many for a user as they have posts.
SELECT
  EXTRACT(YEAR FROM date_joined) AS join_year,
  count(*) AS number_users_joined
FROM user_data
GROUP BY EXTRACT(YEAR FROM date_joined)
ORDER BY join_year;

-- COMMAND ----------

-- The median follower count of posts, by the year their user joined. Posts whose count is not known say nothing.
SELECT
  EXTRACT(YEAR FROM date_joined) AS join_year,
  median(CAST(follower_count AS DOUBLE)) AS median_follower_count
FROM pin_data
JOIN user_data USING (ind)
GROUP BY EXTRACT(YEAR FROM date_joined)
ORDER BY join_year;

-- COMMAND ----------

-- The median follower count of posts, by the year their user joined and the user's age group. Posts whose count is not
-- known say nothing.
SELECT
  EXTRACT(YEAR FROM date_joined) AS join_year,
  age_group(age) AS age_group,
  median(CAST(follower_count AS DOUBLE)) AS median_follower_count
FROM pin_data
JOIN user_data USING (ind)
GROUP BY EXTRACT(YEAR FROM date_joined), age_group(age)
ORDER BY join_year, age_group;
