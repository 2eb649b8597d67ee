-- Databricks notebook source
-- MAGIC %md
-- MAGIC # Nine questions about the posts
-- MAGIC The questions of `sql/queries/`, over the tables that pinsql writes. Run `tables.sql` and `functions.sql` first.

-- COMMAND ----------

USE pinterest.posts;

-- COMMAND ----------

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

-- COMMAND ----------

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

-- COMMAND ----------

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

-- COMMAND ----------

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

-- COMMAND ----------

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

-- COMMAND ----------

-- The median follower count of the posts of each age group. Posts with an unknown count are ignored.
SELECT
  age_group(age) AS age_group,
  median(CAST(follower_count AS DOUBLE)) AS median_follower_count
FROM pin_data
JOIN user_data USING (ind)
GROUP BY age_group(age)
ORDER BY age_group;

-- COMMAND ----------

-- The number of users who joined in each year. It counts rows of user_data, which has one row for each post of a user.
SELECT
  EXTRACT(YEAR FROM date_joined) AS join_year,
  count(*) AS number_users_joined
FROM user_data
GROUP BY EXTRACT(YEAR FROM date_joined)
ORDER BY join_year;

-- COMMAND ----------

-- The median follower count of posts, by the year in which their user joined. Posts with an unknown count are ignored.
SELECT
  EXTRACT(YEAR FROM date_joined) AS join_year,
  median(CAST(follower_count AS DOUBLE)) AS median_follower_count
FROM pin_data
JOIN user_data USING (ind)
GROUP BY EXTRACT(YEAR FROM date_joined)
ORDER BY join_year;

-- COMMAND ----------

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
