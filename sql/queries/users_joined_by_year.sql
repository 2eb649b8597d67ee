-- The number of users who joined in each year. It counts rows of user_data, which has one row for each post of a user.
SELECT
  EXTRACT(YEAR FROM date_joined) AS join_year,
  count(*) AS number_users_joined
FROM user_data
GROUP BY EXTRACT(YEAR FROM date_joined)
ORDER BY join_year;
