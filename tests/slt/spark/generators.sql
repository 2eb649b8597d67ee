-- Generators: functions that return rows.

SELECT id, explode(a) FROM nested;

SELECT id, explode_outer(a) AS x FROM nested;

SELECT id, posexplode(a) FROM nested;

SELECT posexplode(a) AS (p, x), id FROM nested WHERE id < 3;

SELECT id, posexplode_outer(m) FROM nested;

SELECT id, explode(m) AS (k, v) FROM nested;

SELECT explode(array(1, 2));

SELECT explode(array());

SELECT explode_outer(CAST(NULL AS ARRAY<INT>));

SELECT inline(array(struct(1 AS a, 'x' AS b), struct(2, 'y'), NULL));

SELECT id, inline_outer(CASE WHEN id = 1 THEN array(r, r) END) FROM nested WHERE id < 3;

SELECT stack(2, 1, 'a', 2, 'b');

SELECT stack(2, 1, 2, 3);

SELECT id, stack(2, 'id', id, 'size', size(a)) AS (name, value) FROM nested;

SELECT json_tuple('{"a": 1, "b": {"c": [1, 2]}, "d": null}', 'a', 'b', 'd', 'e');

SELECT id, json_tuple(j, 'x', 'y') AS (x, y) FROM VALUES (1, '{"x": "text", "y": 2.50}'), (2, 'broken'), (3, NULL) t(id, j);

SELECT id, x FROM nested LATERAL VIEW explode(a) e AS x;

SELECT id, e.x FROM nested n LATERAL VIEW OUTER explode(n.a) e AS x WHERE id > 1;

SELECT id, pos, col, key, value FROM nested LATERAL VIEW posexplode(a) p LATERAL VIEW explode(m) q;

SELECT id, x, y FROM nested LATERAL VIEW explode(a) e AS x LATERAL VIEW explode(array(x, x * 10)) f AS y WHERE y > 2;

SELECT x, count(*), sum(id) FROM nested LATERAL VIEW explode(a) e AS x GROUP BY x HAVING count(*) > 0;

SELECT * FROM nested LATERAL VIEW explode(a) e AS x WHERE id = 1 AND x > 1;

SELECT *, explode(a) AS x FROM nested WHERE id = 1;

SELECT n.id, x FROM nested n, LATERAL explode(n.a) e(x);

SELECT n.id, e.col FROM nested n LEFT JOIN LATERAL explode(n.a) e ON TRUE;

SELECT n.id, e.pos FROM nested n JOIN LATERAL posexplode(n.a) e;

SELECT * FROM explode(array(1, 2)) AS t(x);

SELECT * FROM inline(array(struct(1 AS a, 'x' AS b)));

SELECT a.col, b.col FROM explode(array(1, 2)) a JOIN explode(array(2, 3)) b ON a.col = b.col;

SELECT * FROM range(3);

SELECT id * 2 FROM range(1, 10, 4) WHERE id > 1;

SELECT explode(collect_list(id)) AS x FROM nested WHERE id < 4;

SELECT id % 2 AS odd, explode(array_sort(collect_list(id))) AS x FROM nested GROUP BY id % 2;

SELECT id % 2 AS odd, count(*) AS n, posexplode(array(min(id), max(id))) FROM nested GROUP BY id % 2 ORDER BY odd, pos;

SELECT explode(split('a,b,c', ',')) AS x ORDER BY x DESC LIMIT 2;

SELECT DISTINCT explode(a) AS x FROM nested;

SELECT x FROM (SELECT explode(a) AS x FROM nested) WHERE x > 1;

WITH e AS (SELECT id, explode(a) AS x FROM nested) SELECT id, sum(x) FROM e GROUP BY id;

SELECT id, (SELECT max(x) FROM nested i LATERAL VIEW explode(i.a) e AS x WHERE i.id = o.id) FROM nested o WHERE id < 3;

SELECT explode(a) AS x, explode(a) AS y FROM nested;

-- Conditions can use the columns of FROM, but not the columns of a generator in the select list.
SELECT explode(a) AS id FROM nested WHERE id = 1;

SELECT explode(m) FROM (SELECT id AS key, m FROM nested) WHERE key = 1;

SELECT explode(a) AS x FROM nested WHERE x > 1;

SELECT id, explode(a) AS x FROM nested ORDER BY x DESC, id LIMIT 2;

SELECT id, explode(transform(a, x -> x + id)) AS x FROM nested;

SELECT e.s.x, e.s.y FROM nested LATERAL VIEW explode(array(r, r)) e AS s WHERE id = 1;

SELECT explode(a) + 1 FROM nested;

SELECT id FROM nested WHERE explode(a) > 1;

SELECT explode(1);

SELECT explode(a) AS (x, y) FROM nested;

SELECT posexplode(a) AS x FROM nested;

SELECT inline(array(1));

SELECT stack(id, 1) FROM nested;

SELECT stack(2, 1, 'a', 'x', 2);

SELECT id FROM nested LATERAL VIEW upper('x') u AS y;
