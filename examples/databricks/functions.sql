-- The functions of the pipeline, as SQL functions for Databricks and for Spark 4. They return the same as the functions of
-- pinsql. In pinsql these functions are built in (`udfs/`), so it does not need this file.

-- The age group of a person. The last group has all other ages: ages under 18 and unknown ages.
CREATE OR REPLACE FUNCTION age_group(age BIGINT) RETURNS STRING
RETURN CASE
  WHEN age BETWEEN 18 AND 24 THEN '18-24'
  WHEN age BETWEEN 25 AND 35 THEN '25-35'
  WHEN age BETWEEN 36 AND 50 THEN '36-50'
  ELSE '50+'
END;

-- The value, or NULL if it equals one of the other arguments. A function in SQL has a fixed number of parameters, so there
-- are at most five of them.
CREATE OR REPLACE FUNCTION null_if_any(
  value STRING, a STRING, b STRING DEFAULT NULL, c STRING DEFAULT NULL, d STRING DEFAULT NULL, e STRING DEFAULT NULL
) RETURNS STRING
RETURN CASE WHEN value = a OR value = b OR value = c OR value = d OR value = e THEN NULL ELSE value END;

-- The text without the prefix, if it begins with it.
CREATE OR REPLACE FUNCTION strip_prefix(text STRING, prefix STRING) RETURNS STRING
RETURN CASE
  WHEN prefix IS NULL THEN NULL
  WHEN startswith(text, prefix) THEN substring(text, length(prefix) + 1)
  ELSE text
END;

-- The exact value of a short count: `1.2k` is 1200, `0.0005k` is 0.5. NULL if the text is not a count. White space before and
-- after the count is ignored.
CREATE OR REPLACE FUNCTION count_value(text STRING) RETURNS DECIMAL(31, 9)
RETURN try_cast(
  regexp_extract(
    text,
    '^[\\s\u0085\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]*0*([0-9]+([.][0-9]{1,9})?)0*[kKmMbB]?[\\s\u0085\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]*$',
    1
  ) AS DECIMAL(20, 9)
) * CASE lower(regexp_extract(text, '([kKmMbB])', 1))
  WHEN 'k' THEN 1000
  WHEN 'm' THEN 1000000
  WHEN 'b' THEN 1000000000
  ELSE 1
END;

-- The integer value of a short count: `12k` is 12000. NULL if it is not a count, not an integer, or out of the range of INT.
CREATE OR REPLACE FUNCTION parse_count(text STRING) RETURNS INT
RETURN CASE WHEN count_value(text) % 1 = 0 THEN try_cast(count_value(text) AS INT) END;
