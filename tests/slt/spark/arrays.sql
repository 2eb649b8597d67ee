-- Arrays. A NULL element is unknown: it could equal any value.

SELECT id, array_append(a, 9), array_prepend(a, 9), array_compact(a), array_distinct(a) FROM nested;

SELECT id, array_append(a, NULL), array_prepend(a, NULL), array_append(a, CAST(9 AS BIGINT)) FROM nested;

SELECT id, array_contains(a, 1), array_contains(a, 7), array_contains(a, id), array_position(a, 1), array_position(a, 7) FROM nested;

SELECT array_contains(array('a', 'b'), 'b'), array_contains(array(1, 2), CAST(2 AS BIGINT)), array_contains(array(array(1), array(2)), array(2)),
array_contains(array(named_struct('x', 1)), named_struct('x', 1)), array_contains(array(CAST('NaN' AS DOUBLE)), CAST('NaN' AS DOUBLE)), array_contains(array(CAST('-0.0' AS DOUBLE)), CAST('0' AS DOUBLE));

SELECT array_position(array('a', 'b', 'a'), 'a'), array_position(array(3, NULL), 4), array_position(CAST(NULL AS ARRAY<INT>), 4);

SELECT array_contains(array(1), array(1));

SELECT id, array_remove(a, 1), array_remove(a, id), array_except(a, array(1, NULL)), array_except(array(1, NULL, 1, 5), a) FROM nested;

SELECT id, array_intersect(a, array(1, NULL, 2)), array_union(a, array(7, 1, NULL)), arrays_overlap(a, array(1, 8)), arrays_overlap(a, array(8, NULL)) FROM nested;

SELECT array_union(array(CAST('NaN' AS DOUBLE), CAST('-0.0' AS DOUBLE)), array(CAST('0.0' AS DOUBLE), CAST('NaN' AS DOUBLE))), array_distinct(array(CAST('-0.0' AS DOUBLE), CAST('0.0' AS DOUBLE), CAST('NaN' AS DOUBLE), CAST('NaN' AS DOUBLE)));

SELECT array_union(array(array(1), array(2)), array(array(2))), array_distinct(array(struct(1, 'a'), struct(1, 'a'), struct(2, 'a'))), arrays_overlap(array(), array(NULL));

SELECT id, array_insert(a, 1, 8), array_insert(a, 2, 8), array_insert(a, -1, 8), array_insert(a, -2, 8), array_insert(a, 6, 8), array_insert(a, -6, 8) FROM nested;

SELECT array_insert(array('a', 'b', 'c'), 4, 'd'), array_insert(array('a', 'b', 'c'), -4, 'z'), array_insert(array('a', 'b', 'c'), -5, 'z'), array_insert(array(1), CAST(NULL AS INT), 2), array_insert(array(1), 1, NULL);

SELECT array_insert(array(1), 0, 2);

SELECT id, array_min(a), array_max(a), array_size(a), size(a), cardinality(a), size(m), cardinality(m) FROM nested;

SELECT array_max(array(CAST(1.5 AS DOUBLE), CAST('NaN' AS DOUBLE), CAST('Infinity' AS DOUBLE))), array_min(array('b', 'B', 'a')), array_max(array(struct(1, 'b'), struct(1, 'c'))), array_max(array(NULL, NULL));

SELECT array_repeat('ab', 3), array_repeat(NULL, 2), array_repeat(1, 0), array_repeat(1, -2), array_repeat(1, CAST(NULL AS INT)), array_repeat(array(1), 2);

SELECT id, array_sort(a), sort_array(a), sort_array(a, false), reverse(a) FROM nested;

SELECT array_sort(array('b', 'a', NULL, 'B')), sort_array(array(CAST('NaN' AS DOUBLE), CAST(1 AS DOUBLE), CAST('-Infinity' AS DOUBLE), NULL)), sort_array(array(CAST('NaN' AS DOUBLE), CAST(1 AS DOUBLE), NULL), false), sort_array(array(struct(2, 'a'), struct(1, 'b'), NULL));

SELECT array_sort(array(array(2), array(1, 5), array())), sort_array(array(DATE '2024-01-02', DATE '2023-01-01')), sort_array(array(true, false, NULL), false);

SELECT id, array_sort(a, (x, y) -> CASE WHEN x IS NULL AND y IS NULL THEN 0 WHEN x IS NULL THEN -1 WHEN y IS NULL THEN 1 WHEN x < y THEN 1 WHEN x > y THEN -1 ELSE 0 END) FROM nested;

SELECT array_sort(array('bb', 'a', 'cccc', 'dd', 'e'), (l, r) -> CASE WHEN length(l) < length(r) THEN -1 WHEN length(l) > length(r) THEN 1 ELSE 0 END);

SELECT array_sort(array(2, 1), (x, y) -> 'x');

SELECT id, array_join(transform(a, x -> CAST(x AS STRING)), ','), array_join(transform(a, x -> CAST(x AS STRING)), ',', '?') FROM nested;

SELECT array_join(array('a', NULL, 'b'), ', '), array_join(array('a', NULL, 'b'), '-', '*'), array_join(array('a'), NULL), array_join(CAST(array() AS ARRAY<STRING>), ','), array_join(array('a', NULL), ',', NULL);

SELECT id, flatten(array(a, array(9))), flatten(array(a, a)) FROM nested;

SELECT flatten(array(array(1, 2), array(), array(NULL))), flatten(array(array(1), NULL)), flatten(array(array(array(1)), array(array(2), array(3))));

SELECT flatten(array(1));

SELECT id, slice(a, 1, 2), slice(a, 2, 9), slice(a, -2, 1), slice(a, 5, 1), slice(a, -9, 2), slice(a, 1, 0) FROM nested;

SELECT slice(array(1, 2), 0, 1);

SELECT slice(array(1, 2), 1, -1);

SELECT sequence(1, 5), sequence(5, 1), sequence(1, 10, 3), sequence(3, 3), sequence(3, 3, 0), sequence(1, CAST(NULL AS INT));

SELECT sequence(CAST(1 AS TINYINT), CAST(3 AS TINYINT)), sequence(CAST(1 AS BIGINT), 3), sequence(9223372036854775806, 9223372036854775807);

SELECT sequence(DATE '2024-01-30', DATE '2024-02-02'), sequence(DATE '2024-01-31', DATE '2024-05-31', INTERVAL 1 MONTH), sequence(DATE '2024-03-01', DATE '2024-02-26', INTERVAL '-2' DAY);

SELECT sequence(TIMESTAMP '2024-01-01 00:00:00', TIMESTAMP '2024-01-01 02:00:00', INTERVAL 45 MINUTES);

SELECT sequence(DATE '2024-01-03', DATE '2024-01-01');

SELECT sequence(1, 5, -1);

SELECT sequence(1, 5, 0);

SELECT sequence('a', 'b');

SELECT id, a[0], get(a, 1), element_at(m, 'a'), m['a'], r.x FROM nested WHERE id < 4;

SELECT arrays_zip(array(1, 2, 3), array('a', 'b')), arrays_zip(array(1), CAST(NULL AS ARRAY<INT>)), arrays_zip(array());

SELECT id, arrays_zip(a, array(1, 2)) FROM nested;

SELECT a AS first, arrays_zip(a, map_keys(m)) FROM nested WHERE id = 1;

SELECT array_sort(shuffle(array(3, 1, 2))), size(shuffle(array())), shuffle(CAST(NULL AS ARRAY<INT>));

SELECT array(1, 2) || array(3), concat(array(1), array(NULL, 2)), reverse(array(1, NULL)), array(), array(NULL);

SELECT array(1, 2) = array(1, 2), array(1) < array(1, 2), array(1, NULL) = array(1, NULL), array(1) <=> array(1);

SELECT size('a');

SELECT array_append(1, 2);

SELECT array_max(array());
