-- Literals have the precision and the scale of their digits.
SELECT 1.5, 1.10, 0.05, 0.0, -1.5, .5, 100., 00.50, 12345678901234567.89;
SELECT 1.5BD, 3BD, 1E2BD, 1.20E-3BD, 123.0E-28BD, 1.5D AS double, 1.5F AS float, 1e3, -1.5BD AS negative;
SELECT 12345678901234567890123456789012345678901.5;
SELECT 12345678901234567890123456789012345678901;
SELECT typeof(1.5), typeof(0.05), typeof(100.0), typeof(-0.001);

-- Arithmetic.
SELECT 0.1 + 0.2, 0.1 + 0.2 = 0.3, 19.99 * 3, 1.1 * 1.1, 1.0 / 3, 10 % 3.3, 7.0 / 2.0, -7.5 % 2, 2 - 0.5;
SELECT 1.5 + 1.5D, 1.5 * 1.5F, 1.5 - 1e0, 1.5 / 2L, 1.5 / 2S, 2 / 1.5, 1Y * 1.5;
SELECT 1.5 % 0;
SELECT 5.0 / 0;
SELECT 7.5 div 2, -7.5 div 2, typeof(7.5 div 2), 7 div 2, 1e3BD div 7;
SELECT 1.5D div 2;
SELECT 1.5 div 0;
SELECT CAST(1 AS DECIMAL(38, 10)) + CAST(1 AS DECIMAL(38, 10)), CAST(1.5 AS DECIMAL(38, 10)) * CAST(1.5 AS DECIMAL(38, 10)), CAST(1 AS DECIMAL(38, 10)) * CAST(1 AS DECIMAL(38, 3)), CAST(1 AS DECIMAL(38, 10)) / CAST(3 AS DECIMAL(38, 10)), CAST(7 AS DECIMAL(38, 10)) % CAST(3 AS DECIMAL(38, 0));
SELECT CAST('0.0000005' AS DECIMAL(38, 10)) * CAST(1 AS DECIMAL(38, 10)), CAST('-0.0000005' AS DECIMAL(38, 10)) * CAST(1 AS DECIMAL(38, 10)), CAST('1.00000049' AS DECIMAL(38, 18)) * CAST('1' AS DECIMAL(38, 18));
SELECT CAST('9999999999999999999999999999999999999' AS DECIMAL(38, 0)) * 100;
SELECT CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0)) + 1;
SELECT CAST('-99999999999999999999999999999999999999' AS DECIMAL(38, 0)) - 1;
SELECT typeof(CAST(1 AS FLOAT) + 1), typeof(CAST(1 AS FLOAT) * CAST(1 AS DECIMAL(5, 2))), typeof(CAST(1 AS FLOAT) - CAST(1 AS FLOAT)), typeof(1 + NULL), CAST(NULL AS DECIMAL(5, 2)) + 1.5;
SELECT pmod(-7.5, 2), pmod(7.5, -2), pmod(-7, 2), try_add(99999999999999999999999999999999999999BD, 1), try_multiply(1.5, 2), try_subtract(1.5, 1), try_divide(5.0, 2), try_add(1.5, 1.5D);
SELECT small + 1.5, small * 0.1, small / 1.1, small % 1.5, -small, small - 1.5D FROM decimals WHERE abs(small) < 3;

-- A string next to a number is a number.
SELECT '1' + 2, '1.5' + 2.5D, '3' * 1.5, '7' % 4, '7' div 2, '10' / 4, 2.5D * '4', CAST(3 AS DECIMAL(5, 1)) + '1.5';
SELECT '1' + '2';
SELECT 'x' + 1;

-- Comparisons.
SELECT 1.5 = 1.50, 1.5 <=> 1.50, 1.5 < 2, 2 > 1.99, 0.1 = 0.1D, 1.5 = '1.5', '1' = 1.0, 1 = '1', CAST(0.1 AS FLOAT) = 0.1, CAST('1004.3' AS FLOAT) = '1004.3';
SELECT '1.0' = 1;
SELECT n > 1.5, n >= 1.5, n < 1.5, n <= 1.5, n = 1.0, n = 1.5, n <> 1.5, 1.5 < n, n <=> 1.0 FROM VALUES (1), (2), (NULL) t(n);
SELECT 5 IN (1, 2.5, 5.0), 5.5 IN (5.50), 1.5 BETWEEN 1 AND 2, 3 NOT BETWEEN 0.5 AND 2.5, 1.5 IN (1.5D, 2), NULL IN (1.5);
SELECT CASE 1.50 WHEN 1 THEN 'a' WHEN 1.5 THEN 'b' END, CASE 1 WHEN 1.0 THEN 'a' END;
SELECT CAST('9999999999999999999999999999.5' AS DECIMAL(38, 10)) > 1.5, CAST('9999999999999999999999999999.5' AS DECIMAL(38, 10)) > 1e20, CAST('9999999999999999999999999999.5' AS DECIMAL(38, 10)) > 12345678901234567890.125, CAST('9999999999999999999999999999.5' AS DECIMAL(38, 10)) = 9999999999999999999999999999.5;
SELECT TRUE = 1;
SELECT DATE '2024-01-01' = 5;
SELECT 1.5 IN (DATE '2024-01-01');

-- Values that come together have a common type.
SELECT coalesce(CAST('12345678901234567.89' AS DECIMAL(20, 2)), 0.0), nvl(1, 2.5), ifnull(NULL, 2.5), coalesce(NULL, 1, 2.5), coalesce(1, 2.5D), coalesce(CAST(1 AS FLOAT), 1), coalesce(1.5, 1.5F);
SELECT greatest(1, 2.5), least(1L, 2.5), greatest(1, 2.5, 3.75D), greatest(CAST('12345678901234567.89' AS DECIMAL(20, 2)), 0.5), least(CAST(1 AS FLOAT), 2);
SELECT if(TRUE, 1, 2.5), CASE WHEN FALSE THEN 1 ELSE 2.5D END, CASE WHEN TRUE THEN 1.5 ELSE 22.75 END, nvl2(1, 1.5, 2), CASE WHEN TRUE THEN NULL ELSE 1.5 END;
SELECT typeof(CASE WHEN v > 0 THEN CAST(0.1 AS FLOAT) ELSE v END), CASE WHEN v > 0 THEN CAST(0.1 AS FLOAT) ELSE v END FROM VALUES (16777217), (-16777217) t(v);
SELECT (CASE WHEN TRUE THEN 1 ELSE 2.5D END) + 1, coalesce(1, 2.5) + 1, if(TRUE, 1, 2.5) * 2;
SELECT CASE WHEN TRUE THEN '1' ELSE 2 END, coalesce('1', 2.5), if(TRUE, '1.5', 1.5D);
SELECT coalesce('x', 1.5D);
SELECT CASE WHEN k = 1 THEN DATE '2024-01-01' ELSE 5 END FROM VALUES (1), (2) t(k);
SELECT coalesce(CAST(NULL AS DATE), 5);
SELECT CASE WHEN TRUE THEN TRUE ELSE 1 END;
SELECT typeof(coalesce(CAST(1 AS DECIMAL(38, 18)), CAST(1 AS DECIMAL(30, 2)))), typeof(coalesce(CAST(1 AS DECIMAL(38, 0)), CAST(0 AS DECIMAL(38, 38)))), typeof(coalesce(CAST(1 AS DECIMAL(5, 2)), 0)), typeof(coalesce(CAST(1 AS DECIMAL(5, 2)), 0L));
SELECT array(1, 2.5), array(1.5, 2.5D), map('a', 1, 'b', 2.5), array_contains(array(1.5, 2.5), 2.50), array_position(array(1.5, 2.5), 2.5), array_contains(array(1, 2), 1.0), element_at(array(1.5, 22.75), 2);
SELECT typeof(v), v FROM (SELECT 1 AS v UNION ALL SELECT 2.5 UNION ALL SELECT 33.75);
SELECT typeof(v), v FROM (SELECT 1 AS v UNION ALL SELECT 2.5 UNION ALL SELECT 3.75D);
SELECT typeof(v), v FROM (SELECT '1' AS v UNION ALL SELECT 2);
SELECT typeof(p), p FROM (SELECT CAST('12345678901234567.89' AS DECIMAL(20, 2)) AS p UNION ALL SELECT 0.5);
SELECT v + 1 AS w, typeof(v + 1) FROM (SELECT 1 AS v UNION ALL SELECT 2.5);
SELECT count(*) FROM (SELECT 1.5 AS v UNION SELECT 1.50);
SELECT DATE '2024-01-01' AS v UNION ALL SELECT 5;
SELECT TRUE AS v UNION SELECT 5;
SELECT DATE '2024-01-01' AS v UNION SELECT TIMESTAMP '2024-01-01 10:00:00';
SELECT typeof(a), a FROM VALUES (1.5), (2.25), (10) t(a);
SELECT typeof(a), a FROM VALUES (1.5), (2.5D) t(a);
SELECT typeof(a), a FROM VALUES (1), (CAST('9999999999999999999999999999.5' AS DECIMAL(38, 10))), (1.5) t(a);
SELECT l.v, r.v FROM VALUES (1), (2) l(v) JOIN VALUES (1.0), (2.5) r(v) ON l.v = r.v;
SELECT v FROM VALUES (1), (2) l(v) JOIN VALUES (1.0), (2.5) r(v) USING (v);
SELECT 1 IN (SELECT 1.0), 1.5 IN (SELECT 1), (SELECT 1.5) + 1;

-- Casts.
SELECT CAST(1.005 AS DECIMAL(10, 2)), CAST(1.005D AS DECIMAL(10, 2)), CAST(CAST(0.1 AS FLOAT) AS DECIMAL(20, 12)), CAST(CAST('NaN' AS DOUBLE) AS DECIMAL(5, 2)), CAST(12345.123 AS DECIMAL(38, 18)), CAST(2.50 AS STRING), CAST(0.0000001 AS STRING), CAST(2.5 AS INT), CAST(-2.5 AS BIGINT), CAST(1.5 AS DOUBLE), CAST(0.1 AS FLOAT);
SELECT CAST(1e10 AS DECIMAL(5, 2));
SELECT CAST(123.456 AS DECIMAL(4, 2));
SELECT CAST(300.5 AS TINYINT);
SELECT TRY_CAST(123.456 AS DECIMAL(4, 2)), TRY_CAST(1e10 AS DECIMAL(5, 2)), TRY_CAST(300.5 AS TINYINT);

-- Functions and aggregates.
SELECT abs(-1.5), sign(-1.5), sqrt(2.25), power(1.5, 2), exp(0.0), round(2.675, 2), round(1.005, 2), bround(2.5), floor(0.1 * 30), ceil(1.1 * 10), round(1234.567, -2), round(2.5), floor(-2.5), ceil(2.5D), negative(1.5);
SELECT ceil(2.345, 2), floor(-2.345, 1), ceil(12345, -2), ceil(2.55D, 1), floor(CAST(2.5 AS FLOAT), 0);
SELECT concat('v', 1.10), 100.0 || '', format_string('%s', 1.20), to_json(named_struct('a', 1.10)), md5(CAST(1.10 AS STRING)), length(1.50), nullif(2.5, 1), nullif(1, 1.0), zeroifnull(CAST(NULL AS DECIMAL(5, 2)));
SELECT sum(v), avg(v), min(v), max(v), stddev_pop(v), median(v), percentile(v, 0.5), percentile_approx(v, 0.5), count(DISTINCT v), sum(v) = 0.6 FROM VALUES (0.1), (0.2), (0.3) t(v);
SELECT avg(v), avg(DISTINCT v), avg(-v) FROM VALUES (1.0), (2.0), (2.0), (NULL) t(v);
SELECT g, avg(v), sum(v) FROM VALUES (1, 1.0), (1, 2.0), (1, 2.0), (2, NULL) t(g, v) GROUP BY g ORDER BY g;
SELECT v, avg(v) OVER (ORDER BY v ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), sum(v) OVER (ORDER BY v), lag(v, 1, 0.0) OVER (ORDER BY v) FROM VALUES (1.5), (2.5), (3.0) t(v);
SELECT avg(v) FROM VALUES (CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0))), (CAST(1 AS DECIMAL(38, 0))) t(v);
SELECT sum(v) FROM VALUES (CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0))), (CAST(1 AS DECIMAL(38, 0))) t(v);
SELECT transform(array(1.5, 2), x -> x * 2), filter(array(1.5, 2.5), x -> x > 2), aggregate(array(1, 2), 0, (a, x) -> a + x);
SELECT sum(v * 0.5), count_if(v > 1.5), sum(if(v > 1.5, v, 0)) FROM VALUES (1), (2), (3) t(v);
SELECT v FROM VALUES (1.5), (10), (2.25) t(v) ORDER BY v;
SELECT v, count(*) FROM VALUES (1.5), (1.50), (2.25) t(v) GROUP BY v ORDER BY v;
