-- Aggregates. If a result depends on the order of rows, the query sorts it.

SELECT sum(i8), sum(i16), sum(i32), count(*), count(i8), count(DISTINCT i8), min(i64), max(i64) FROM wholes;

SELECT sum(i64) FROM wholes WHERE i64 > 0;

SELECT sum(DISTINCT i64), count(DISTINCT i32), sum(DISTINCT i8) FROM wholes WHERE i64 > 0;

SELECT avg(i8), mean(i32), avg(DISTINCT i8), try_avg(i32), try_sum(i32), try_sum(i64) FROM wholes;

SELECT sum(small), avg(small), sum(DISTINCT small), min(small), max(small), avg(DISTINCT small) FROM decimals;

SELECT sum(x) FROM VALUES (CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0))), (CAST('1' AS DECIMAL(38, 0))) t(x);

SELECT try_sum(x) FROM VALUES (CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0))), (CAST('1' AS DECIMAL(38, 0))) t(x);

SELECT sum(d), avg(d), min(d), max(d) FROM doubles;

SELECT sum(i8), avg(i8), min(i8), max(i8), count(i8), median(i8), mode(i8), stddev(i8), any_value(i8), max_by(i8, i16) FROM wholes WHERE i8 > 1000;

SELECT array_agg(i8), collect_list(i8), collect_set(i8), listagg(CAST(i8 AS STRING), ','), bool_or(i8 > 0), count_if(i8 > 0), percentile(i8, 0.5) FROM wholes WHERE i8 > 1000;

SELECT sort_array(array_agg(i8)), sort_array(collect_list(i16)), sort_array(collect_set(x)), size(collect_set(i8)) FROM (SELECT *, i8 % 2 AS x FROM wholes);

SELECT sort_array(collect_set(id % 2)), sort_array(collect_list(DISTINCT id % 2)), collect_list(a) FILTER (WHERE id = 3), array_agg(r) FILTER (WHERE id = 1) FROM nested;

SELECT id % 2 AS odd, sort_array(collect_list(id)), count_if(id > 2), max_by(r.y, id), min_by(id, r.x) FROM nested GROUP BY id % 2 ORDER BY odd;

SELECT count_if(i8 > 0), count_if(i8 IS NULL), count_if(NULL) FROM wholes;

SELECT any(b), some(b), every(b), bool_or(b), bool_and(b) FROM VALUES (true), (false), (NULL) t(b);

SELECT every(b), any(b), bool_and(b) FILTER (WHERE b) FROM VALUES (CAST(NULL AS BOOLEAN)), (true) t(b);

SELECT bit_and(x), bit_or(x), bit_xor(x) FROM VALUES (12), (10), (NULL) t(x);

SELECT max_by(x, y), min_by(x, y) FROM VALUES ('a', 10), ('b', 50), ('c', 20), ('d', NULL), (NULL, 5) t(x, y);

SELECT max_by(x, y), min_by(x, y) FROM VALUES (named_struct('k', 1), CAST('NaN' AS DOUBLE)), (named_struct('k', 2), CAST('Infinity' AS DOUBLE)) t(x, y);

SELECT median(x), percentile(x, 0.25), percentile(x, array(0.0, 0.3, 1.0)), percentile_cont(0.3) WITHIN GROUP (ORDER BY x), percentile_disc(0.3) WITHIN GROUP (ORDER BY x), percentile_cont(0.3) WITHIN GROUP (ORDER BY x DESC), percentile_disc(0.3) WITHIN GROUP (ORDER BY x DESC) FROM VALUES (0), (10), (20), (40), (NULL) t(x);

SELECT median(x), percentile(x, 0.5) FROM VALUES (CAST('1.50' AS DECIMAL(5, 2))), (CAST('2.75' AS DECIMAL(5, 2))) t(x);

SELECT percentile(x, 0.5, f) FROM VALUES (1, 1), (2, 5), (10, 1), (100, 0) t(x, f);

SELECT percentile(x, 1.5) FROM VALUES (1) t(x);

SELECT percentile_approx(x, 0.5), approx_percentile(x, 0.25), percentile_approx(x, array(0.0, 0.5, 1.0)), percentile_approx(x, 0.9, 100) FROM VALUES (1), (5), (7), (2), (NULL) t(x);

SELECT percentile_approx(d, 0.5), percentile_approx(CAST(1.5 AS DECIMAL(3, 1)), 0.5) FROM VALUES (DATE '2024-01-01'), (DATE '2024-03-01'), (DATE '2024-02-01') t(d);

SELECT mode(x), mode(y) FROM VALUES (1, 'a'), (2, 'b'), (2, 'a'), (NULL, NULL), (NULL, NULL) t(x, y);

SELECT mode(x, true), mode() WITHIN GROUP (ORDER BY x), mode() WITHIN GROUP (ORDER BY x DESC) FROM VALUES (1), (2), (3), (2), (1) t(x);

SELECT stddev(x), stddev_samp(x), stddev_pop(x), std(x), variance(x), var_samp(x), var_pop(x) FROM VALUES (1), (2), (3), (NULL) t(x);

SELECT stddev(x), stddev_pop(x), var_samp(x), var_pop(x), skewness(x), kurtosis(x), corr(x, x), covar_samp(x, x), covar_pop(x, x) FROM VALUES (5) t(x);

SELECT skewness(x), kurtosis(x) FROM VALUES (-10), (-20), (100), (1000), (NULL) t(x);

SELECT skewness(x), kurtosis(x) FROM VALUES (5), (5) t(x);

SELECT round(corr(x, y), 10), covar_pop(x, y), covar_samp(x, y) FROM VALUES (3, 2), (3, 3), (6, 4), (NULL, 1) t(x, y);

SELECT regr_count(y, x), regr_avgx(y, x), regr_avgy(y, x), round(regr_slope(y, x), 10), round(regr_intercept(y, x), 10), round(regr_r2(y, x), 10), regr_sxx(y, x), round(regr_sxy(y, x), 10), round(regr_syy(y, x), 10) FROM VALUES (1, 2), (2, 3), (2, 4), (NULL, 3), (4, NULL) t(y, x);

SELECT listagg(s) WITHIN GROUP (ORDER BY s), listagg(s, '-') WITHIN GROUP (ORDER BY n DESC), string_agg(s, '|') WITHIN GROUP (ORDER BY s DESC), listagg(DISTINCT s, ',') WITHIN GROUP (ORDER BY s) FROM VALUES ('b', 1), ('a', 2), ('b', 3), (NULL, 4) t(s, n);

SELECT first(x), first(x, true), first_value(x), last(x), last(x, true), any_value(x, true) FROM VALUES (NULL), (1), (2), (NULL) t(x);

SELECT approx_count_distinct(x) FROM VALUES (1), (2), (2), (NULL) t(x);

SELECT a, b, grouping(a), grouping(b), sum(n) FROM VALUES ('x', 1, 10), ('y', 1, 20) t(a, b, n) GROUP BY ROLLUP (a, b) ORDER BY a, b, grouping(b), sum(n);

SELECT id, row_number() OVER (ORDER BY id), rank() OVER (ORDER BY id % 2), dense_rank() OVER (ORDER BY id % 2), percent_rank() OVER (ORDER BY id % 2), cume_dist() OVER (ORDER BY id % 2), ntile(2) OVER (ORDER BY id) FROM nested ORDER BY id;

SELECT id, lag(id) OVER (ORDER BY id), lead(id, 2) OVER (ORDER BY id), lag(id, 1, -1) OVER (ORDER BY id), nth_value(id, 2) OVER (ORDER BY id), first_value(id) OVER (ORDER BY id DESC), last_value(id) OVER (ORDER BY id) FROM nested ORDER BY id;

SELECT id, sum(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), collect_list(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), max_by(id, -id) OVER (ORDER BY id), count_if(id > 2) OVER (ORDER BY id) FROM nested ORDER BY id;

SELECT id, percentile(id, 0.5) OVER (PARTITION BY id % 2), mode(id % 2) OVER (), collect_set(id % 2) OVER (PARTITION BY id % 2), kurtosis(id) OVER () FROM nested ORDER BY id;

SELECT sum(size(a)) AS s, sum(r.x) FROM nested HAVING sum(r.x) > 0;

SELECT count(DISTINCT a, b), count(a, b) FROM VALUES (1, 1), (1, 1), (1, NULL), (2, 1) t(a, b);

SELECT median('x');

SELECT sum('x');

SELECT count_if('x');
