-- The user of each post. A user has a row for each of their posts.
-- These rules are the same for every source: user_records has the records of any source.
CREATE OR REPLACE TEMPORARY VIEW cleaned_user AS
SELECT
  ind,
  first_name || last_name AS user_name,
  age,
  date_joined
FROM (SELECT DISTINCT * FROM user_records);
