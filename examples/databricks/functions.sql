-- The functions that the pipeline's SQL needs, as SQL functions for Databricks and for Spark 4. They give what those of
-- pinsql give, which has them built in (`udfs/`) and needs no such definitions.

-- The age group of a person. The last one is everything else: ages under 18, and those that are not known.
CREATE OR REPLACE FUNCTION age_group(age BIGINT) RETURNS STRING
RETURN CASE
  WHEN age BETWEEN 18 AND 24 THEN '18-24'
  WHEN age BETWEEN 25 AND 35 THEN '25-35'
  WHEN age BETWEEN 36 AND 50 THEN '36-50'
  ELSE '50+'
END;

-- The value, or NULL when it equals one of the others. A function in SQL has so many parameters and no more: there are
-- at most five.
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

-- What a short count says, exactly: `1.2k` is 1200, `0.0005k` is 0.5. NULL for what is no count. Any white space may be
-- around it.
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

-- The whole number that a short count names: `12k` is 12000. NULL for what is no count, is not whole, or is past INT.
CREATE OR REPLACE FUNCTION parse_count(text STRING) RETURNS INT
RETURN CASE WHEN count_value(text) % 1 = 0 THEN try_cast(count_value(text) AS INT) END;
