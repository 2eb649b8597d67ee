-- How many users joined in each year: rows of user_data, as many for a user as they have posts.
SELECT
  EXTRACT(YEAR FROM date_joined) AS join_year,
  count(*) AS number_users_joined
FROM user_data
GROUP BY EXTRACT(YEAR FROM date_joined)
ORDER BY join_year;
