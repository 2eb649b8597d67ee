-- Every function with a BINARY parameter, over a column of bytes.
SELECT id, hex(b), base64(b), md5(b), sha(b), sha1(b), sha2(b, 256), sha2(b, 224), crc32(b), hash(b), xxhash64(b) FROM raws;
SELECT id, length(b), len(b), char_length(b), bit_length(b), octet_length(b) FROM raws;
SELECT id, b || b, concat(b, X'01'), concat(b, b, b), concat_ws('-', b, b), elt(1, b, 'a'), elt(2, b, 1) FROM raws WHERE id <> 4;
SELECT id, substring(b, 2), substring(b, 2, 1), substr(b, -1), left(b, 1), right(b, 1) FROM raws WHERE id <> 4;
SELECT id, lpad(b, 3), rpad(b, 3), lpad(b, 5, X'AB'), rpad(b, 1, X'AB') FROM raws;
SELECT id, contains(b, X'C3'), startswith(b, X'80'), endswith(b, X'FF'), contains(b, b) FROM raws;
SELECT id, is_valid_utf8(b), make_valid_utf8(b), try_validate_utf8(b) FROM raws;
SELECT validate_utf8(b) FROM raws WHERE id = 4;
SELECT id, decode(b, 'utf-8'), CAST(b AS STRING), to_char(b, 'base64'), to_char(b, 'hex'), to_varchar(b, 'utf-8') FROM raws WHERE id <> 4;
SELECT id, encode(CAST(b AS STRING), 'utf-16be'), reverse(CAST(b AS STRING)), upper(CAST(b AS STRING)) FROM raws WHERE id <> 4;
SELECT id, b = X'00', b < X'61', b >= X'61', b <=> NULL, b IN (X'', X'80FF'), b BETWEEN X'00' AND X'61', isnull(b), nullif(b, X'00') FROM raws;
SELECT id, coalesce(b, X'AA'), ifnull(b, X'AA'), nvl2(b, 1, 0), if(b = X'00', b, X'BB'), CASE WHEN b IS NULL THEN X'CC' ELSE b END FROM raws;
SELECT id, greatest(b, X'61'), least(b, X'61'), typeof(b), decode(b, X'00', 'nil', 'other') FROM raws;
SELECT id, array(b, X'01'), array_contains(array(b, X'01'), X'01'), array_position(array(X'00', b), b), map(1, b), named_struct('b', b), struct(b) FROM raws;
SELECT array_distinct(collect_list(b)), array_sort(collect_set(b)), count(b), count(DISTINCT b), approx_count_distinct(b) FROM (SELECT b FROM raws ORDER BY id);
SELECT min(b), max(b), min_by(id, b), max_by(b, id), any_value(X'07'), first(b, true) FROM (SELECT * FROM raws ORDER BY id);
SELECT b, count(*) FROM raws GROUP BY b ORDER BY b;
SELECT DISTINCT b FROM raws ORDER BY b DESC NULLS LAST;
SELECT l.id, r.id FROM raws l JOIN raws r ON l.b = r.b ORDER BY l.id;
SELECT id, to_json(named_struct('b', b)) FROM raws WHERE id <> 4;
SELECT id, hex(lead(b) OVER (ORDER BY id)), lag(b, 1, X'EE') OVER (ORDER BY id) FROM raws;
SELECT id, unhex(hex(b)) = b, unbase64(base64(b)) = b FROM raws;
SELECT b + 1 FROM raws;
SELECT CAST(b AS INT) FROM raws;
-- differs: JSON is read from BINARY too
-- ours: 1 | NULL
-- ours: 7 | NULL
-- our types: int, string
SELECT id, get_json_object(b, '$.a') FROM raws WHERE id IN (1, 7);
SELECT b LIKE 'a%' FROM raws WHERE id = 3;
SELECT replace(b, 'a', 'b'), trim(b), ltrim(b), rtrim('a', b), trim(BOTH b FROM b), locate('a', b), split(b, 'a') FROM raws WHERE id = 3;
SELECT trim(7), btrim(TRUE), ltrim(DATE'2020-01-01'), trim(LEADING '1' FROM 11.0D), trim(NULL), trim(NULL FROM 'a');
SELECT upper(b), initcap(b), regexp_replace(b, 'a', 'x'), repeat(b, 2), ascii(b) FROM raws WHERE id = 3;
