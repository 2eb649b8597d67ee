-- Functions that take a lambda.

SELECT id, transform(a, x -> x + 1), transform(a, (x, i) -> x * 10 + i), transform(a, x -> id), transform(a, x -> NULL) FROM nested;

SELECT id, filter(a, x -> x > 1), filter(a, x -> x IS NULL), filter(a, (x, i) -> i % 2 = 0), filter(a, x -> x > id) FROM nested;

SELECT id, exists(a, x -> x > 1), exists(a, x -> x IS NULL), exists(a, x -> x > 100), forall(a, x -> x > 0), forall(a, x -> x > 1), forall(a, x -> x IS NOT NULL) FROM nested;

SELECT id, aggregate(a, 0, (s, x) -> s + x), aggregate(a, 0, (s, x) -> s + coalesce(x, 0), s -> s * 10), reduce(a, '', (s, x) -> s || coalesce(CAST(x AS STRING), '-')) FROM nested;

SELECT id, aggregate(a, id, (s, x) -> coalesce(s, 0) + coalesce(x, 0) + id), aggregate(a, named_struct('n', 0, 's', 0), (s, x) -> named_struct('n', s.n + 1, 's', s.s + coalesce(x, 0)), s -> s.s / s.n) FROM nested WHERE id <> 4;

SELECT aggregate(array(1, 2, 3), CAST(0 AS BIGINT), (s, x) -> s + x), aggregate(array('a', 'b'), CAST(array() AS ARRAY<STRING>), (s, x) -> array_append(s, x)), aggregate(array(1, 2), 1, (s, x) -> s * x, s -> CAST(s AS STRING));

SELECT aggregate(array(1, 2), '0', (s, x) -> s + x);

SELECT aggregate(array(2147483647, 1), 0, (s, x) -> s + x);

SELECT id, zip_with(a, array(10, 20, 30, 40), (x, y) -> x + y), zip_with(a, a, (x, y) -> coalesce(x, 0) * id), zip_with(a, CAST(NULL AS ARRAY<INT>), (x, y) -> x) FROM nested;

SELECT id, map_filter(m, (k, v) -> v > 1), array_sort(map_keys(transform_keys(m, (k, v) -> k || 'x'))), transform_keys(m, (k, v) -> k || 'x')['ax'], transform_values(m, (k, v) -> coalesce(v, -1) + id), map_filter(m, (k, v) -> k = 'a') FROM nested;

SELECT transform_keys(map('a', 1, 'b', 2), (k, v) -> 'same');

SELECT transform_keys(map('a', 1), (k, v) -> CAST(NULL AS STRING));

SELECT map_zip_with(map('a', 1, 'b', 2), map('b', 20, 'c', 30), (k, x, y) -> concat(k, coalesce(x, 0), coalesce(y, 0))), map_zip_with(map(1, 'a'), CAST(NULL AS MAP<INT, STRING>), (k, x, y) -> x);

-- A lambda in a lambda, and a parameter that hides a column.
SELECT transform(array(array(1, 2), array(3)), xs -> transform(xs, x -> x + size(xs))), transform(array(1, 2), x -> aggregate(array(10, 20), x, (s, y) -> s + y + x));

SELECT id, transform(a, id -> id + 1), transform(array(1, 2), x -> transform(a, y -> coalesce(y, 0) + x + id)) FROM nested WHERE id < 3;

SELECT transform(array(named_struct('n', 1, 't', 'a'), named_struct('n', 2, 't', 'b')), s -> s.t || s.n), filter(array(named_struct('n', 1), named_struct('n', 2)), s -> s.n > 1), transform(array('a', 'b'), x -> upper(x));

SELECT transform(CAST(NULL AS ARRAY<INT>), x -> x + 1), filter(CAST(array() AS ARRAY<INT>), x -> x > 1), exists(CAST(array() AS ARRAY<INT>), x -> true), forall(CAST(array() AS ARRAY<INT>), x -> false), transform(array(), x -> 1);

SELECT transform(array(1, 2), x -> CAST(x AS STRING)), transform(array('1', 'x'), s -> TRY_CAST(s AS INT)), transform(array(CAST(1.5 AS DOUBLE), CAST(2.5 AS DOUBLE)), d -> CAST(d AS STRING)), filter(split('a,,b', ','), s -> s <> '');

SELECT transform(array(0, 1), x -> 1 / x);

SELECT transform(1, x -> x);

SELECT filter(array(1), x -> x);

SELECT exists(array(1), x -> 'a');

SELECT transform(array(1), (x, y, z) -> x);

SELECT sum(aggregate(a, 0, (s, x) -> s + coalesce(x, 0))), max(size(filter(a, x -> x IS NOT NULL))) FROM nested;

SELECT id FROM nested WHERE exists(a, x -> x = 2) ORDER BY id;
