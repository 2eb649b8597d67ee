-- Structs: a field has the name of its column. Without a column, the name has the number of the field, from 1.

SELECT id, r, r.x, r.y, struct(id, r.x, 7, id + 1) FROM nested;

SELECT struct(1, 'a'), struct(1 AS one, 'a' AS two), named_struct('x', 1, 'y', array(1)), struct(struct(1) AS inner).inner.col1;

SELECT named_struct('x', 1) = named_struct('x', 1), struct(1, 2) < struct(1, 3), struct(1, NULL) = struct(1, NULL), struct(1, 2) <=> struct(1, 2), struct(2, 1) > struct(1, 9);

SELECT DISTINCT struct(a, b) AS s FROM VALUES (1, 'a'), (1, 'a'), (CAST(NULL AS INT), 'a'), (CAST(NULL AS INT), 'a') t(a, b);

SELECT CASE WHEN b IS NOT NULL THEN struct(a, b) END AS s FROM VALUES (2, 'a'), (1, 'b'), (7, NULL), (1, 'a'), (CAST(NULL AS INT), 'z') t(a, b) ORDER BY s;

SELECT struct(a, b) AS s, count(*) FROM VALUES (2, 'a'), (2, 'a'), (NULL, NULL) t(a, b) GROUP BY struct(a, b);

SELECT named_struct('x', 1, 'y');

SELECT named_struct(1, 1);

SELECT struct(1, 2).nope;

SELECT CAST(named_struct('x', 1, 'y', '2') AS STRUCT<x: BIGINT, y: INT>), r.* FROM nested WHERE id = 1;

-- differs: a STRUCT cast to one with other names
-- our error: Unsupported CAST
SELECT CAST(named_struct('x', 1, 'y', '2') AS STRUCT<a: BIGINT, b: INT>);
