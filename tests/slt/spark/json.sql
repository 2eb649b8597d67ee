-- JSON. A text that is not JSON gives NULL.

SELECT id, to_json(r), to_json(a), to_json(m), to_json(struct(id, a, m, r)) FROM nested;

SELECT to_json(named_struct('a', 1, 'b', CAST(NULL AS INT))), to_json(named_struct('a', 1, 'b', CAST(NULL AS INT)), map('ignoreNullFields', 'false')), to_json(array(named_struct('a', CAST(NULL AS INT)))), to_json(map('k', CAST(NULL AS INT)));

SELECT to_json(named_struct('t', TIMESTAMP '2024-01-02 03:04:05.678901', 'd', DATE '2024-01-02', 'b', true, 'x', CAST(1.50 AS DECIMAL(10, 2)), 'f', CAST('1e10' AS DOUBLE), 'n', CAST('NaN' AS DOUBLE), 'g', CAST(0.1 AS FLOAT), 'y', X'00ff'));

SELECT to_json(named_struct('s', 'quote " back \\ slash / tab \t newline \n é 😀 \u0001')), to_json(named_struct('a b', 1)), to_json(map(1, 'x', 2, 'y')), to_json(array());

SELECT to_json(array(array(1), NULL)), to_json(CAST(NULL AS STRUCT<a: INT>));

SELECT to_json(1);

-- differs: an option that `to_json` has not
-- our error: to_json: there is no option `nope`
SELECT to_json(map('a', 1), map('nope', 'x'));

SELECT json_array_length('[1, 2, [3, 4], {"a": [5]}]'), json_array_length('[]'), json_array_length('{"a": 1}'), json_array_length('[1, 2'), json_array_length(NULL), json_array_length('7');

SELECT json_object_keys('{"a": 1, "b": {"c": 2}, "a": 3}'), json_object_keys('{}'), json_object_keys('[1]'), json_object_keys('{"a"'), json_object_keys(NULL);

SELECT schema_of_json('{"a": 1, "b": [1.5, 2], "c": {"d": "x"}}'), schema_of_json('[1, 2]'), schema_of_json('"x"'), schema_of_json('7'), schema_of_json('[{"a": 1}, {"b": "x"}]');

SELECT get_json_object('{"a": {"b": [1, "x"]}}', '$.a.b[1]'), get_json_object('{"a": 1}', '$.b'), get_json_object('broken', '$.a');

SELECT from_json('{"a": 1, "b": [1, 2]}', 'a INT, b ARRAY<INT>'), from_json(to_json(struct(1 AS x)), 'x INT').x, from_json('[{"a": 1}]', 'ARRAY<STRUCT<a: INT>>')[0].a;
