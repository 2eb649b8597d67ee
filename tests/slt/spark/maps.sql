-- Maps: keys are never NULL, and never duplicate.

SELECT id, map_keys(m), map_values(m), map_entries(m), map_contains_key(m, 'a'), m['b'] FROM nested;

SELECT map(1, 'a', 2, 'b'), map(1, NULL), map('a', 1, 'b', CAST(2 AS BIGINT)), map(1, 2)[1], map(1, 2)[3], element_at(map(1, 2), 3), try_element_at(map(1, 2), 1);

SELECT map();

SELECT map('a', 1, 'a', 2);

SELECT map(NULL, 1);

SELECT map('a');

SELECT map(array(1), 'x')[array(1)], map(named_struct('x', 1), 'y')[named_struct('x', 1)];

SELECT map_concat(map('a', 1), map('b', 2)), map_concat(map('a', 1), CAST(NULL AS MAP<STRING, INT>)), map_concat(map(1, 'x'), map(CAST(2 AS BIGINT), 'y')), map_concat();

SELECT map_concat(map('a', 1), map('a', 2));

SELECT map_from_arrays(array('a', 'b'), array(1, NULL)), map_from_arrays(CAST(NULL AS ARRAY<STRING>), array(1));

SELECT map_from_arrays(array('a', 'b'), array(1));

SELECT map_from_arrays(array('a', NULL), array(1, 2));

SELECT map_from_entries(array(struct('a', 1), struct('b', 2))), map_from_entries(array(struct('a', 1), NULL)), map_from_entries(CAST(NULL AS ARRAY<STRUCT<k: STRING, v: INT>>));

SELECT map_from_entries(array(struct('a', 1), struct('a', 2)));

SELECT map_from_entries(array(1));

SELECT map_keys(1);

SELECT map_contains_key(map(1, 'a'), CAST(1 AS BIGINT));

SELECT size(map(1, 2, 3, 4)), cardinality(map()), map_from_entries(map_entries(map('x', 1)));

SELECT map(1, 2) = map(1, 2);
