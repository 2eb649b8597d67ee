SELECT 1, -1, 2147483647, 2147483648, -2147483648, 9223372036854775807, 9223372036854775808, 0, 007;
SELECT 1L, 1S, 1Y, 1.5BD, 1.5D, 1.5F, 1D, 2F, 3BD, 1e3D, -5L, 10l;
SELECT 1e3, 1.5e-3, 1E5, typeof(1e3), 1.0e0;
SELECT X'1F', x'', X'00ff', typeof(X'00');
SELECT DATE '2020-01-01', TIMESTAMP '2020-01-01 10:00:00', TIMESTAMP '2020-01-01', DATE '2020-1-2', TIMESTAMP '2020-01-01T10:00:00Z';
SELECT DATE '2020-02-30';
SELECT 'a\nb', 'it\'s', "double \"quoted\"", 'a''b', 'tab\there', '\\d', '\u00e9';
SELECT TRUE, FALSE, NULL;
SELECT INTERVAL '3' DAY, INTERVAL '2' HOUR, INTERVAL -1 DAY, INTERVAL '-1' MINUTE;
SELECT 2 * 3 + 4, 2 + 3 * 4, (2 + 3) * 4, 10 - 2 - 3, 2 - -3, - - 5, 7 - +2;
SELECT sum(a), max(a), typeof(sum(a)), typeof(avg(a)) FROM VALUES (1.5BD), (2.5BD), (3.5BD) t(a);

-- differs: `1.5` is a DOUBLE
-- ours: 1.5 | 'double'
-- our types: double, string
SELECT 1.5, typeof(1.5);
