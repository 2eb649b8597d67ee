SELECT id, regexp_like(s, 'a'), rlike(s, '^[0-9.-]+$'), regexp(s, '\\s'), s RLIKE 'o', s REGEXP 'l+', s NOT RLIKE 'a' FROM texts;
SELECT id, regexp_replace(s, '[aeiou]', '<$0>'), regexp_replace(s, '\\s+', ''), regexp_replace(s, '^', '>'), regexp_replace(s, '', '-') FROM texts WHERE id <> 7;
SELECT regexp_replace('100-200', '(\\d+)-(\\d+)', '$2/$1'), regexp_replace('aaa', 'a', 'b', 2), regexp_replace(NULL, 'a', 'b'), regexp_replace('a.b', '.', '\\$'), regexp_replace('foobar', '(?<x>o+)', concat('[$', '{x}]')), regexp_replace('abc', 'B', 'x'), regexp_replace('aaa', 'a*', 'x');
SELECT regexp_extract('100-200', '(\\d+)-(\\d+)', 1), regexp_extract('100-200', '(\\d+)-(\\d+)'), regexp_extract('100-200', '(\\d+)-(\\d+)', 0), regexp_extract('x', '(\\d+)', 1), regexp_extract(NULL, 'a', 0), regexp_extract('ab', '(a)(c)?', 2);
SELECT regexp_extract('100-200', '(\\d+)-(\\d+)', 3);
SELECT regexp_extract('100-200', '(\\d+)-(\\d+)', -1);
SELECT regexp_extract_all('100-200, 300-400', '(\\d+)-(\\d+)', 1), regexp_extract_all('100-200, 300-400', '(\\d+)-(\\d+)'), regexp_extract_all('100-200', '(\\d+)', 0), regexp_extract_all('x', '(\\d+)'), regexp_extract_all(NULL, 'a'), regexp_extract_all('ab ac', '(a)(c)?', 2);
SELECT regexp_extract_all('a', '(a)', 2);
SELECT id, regexp_count(s, '[a-z]'), regexp_instr(s, 'a'), regexp_substr(s, '[a-z]+') FROM texts;
SELECT regexp_count('Steven Jones and Stephen Smith', 'Ste(v|ph)en'), regexp_count('aaa', ''), regexp_count(NULL, 'a'), regexp_count('٣3', '\\d'), regexp_instr('aé😀x', 'x'), regexp_instr('a', 'b'), regexp_instr(NULL, 'a'), regexp_instr('user@spark', '@[^.]*'), regexp_substr('a', 'b'), regexp_substr(NULL, 'a'), regexp_substr('a1b22', '\\d+');
SELECT regexp_like('foobar', 'foo(?=bar)'), regexp_like('foobaz', 'foo(?!baz)'), regexp_extract('price: $42', '(?<=\\$)\\d+', 0), regexp_replace('a1b2', '(?<![a-z])\\d', '#'), regexp_replace('abab', '(ab)\\1', 'x'), regexp_like('aa', '(a)\\1'), regexp_extract_all('aXbX', '[a-z](?=X)', 0), regexp_count('aab', 'a(?=a|b)'), split('a1b2c', '(?<=\\d)'), split('aBcD', '(?=[A-Z])');
SELECT regexp_replace('aaab', 'a++b', 'x'), regexp_like('aaa', 'a++a'), regexp_replace('abc', '(?>a|ab)c', 'x'), regexp_like('a', 'a?+a'), regexp_like('ab\n', 'b\\Z'), regexp_like('ab\n', 'b\\z'), regexp_like('ab\n', 'b$');
SELECT regexp_replace('a\r\nb', '\\R', '-'), regexp_like('x\ty', 'x\\hy'), regexp_like('É', '(?iu)é'), regexp_like('é', '\\w'), regexp_like('é', '(?U)\\w'), regexp_like('a\u0085b', 'a.b'), regexp_like('٣', '\\d'), regexp_like('\u00a0', '\\s');
SELECT regexp_like('abc', '\\x61b'), regexp_like('a-b', '[a\\-b]+'), regexp_like(']', '[]]'), regexp_replace('a^b', '[\\^]', 'x'), regexp_like('A', '\\p{Lu}'), regexp_like('A', '\\p{javaUpperCase}'), regexp_like('α', '\\p{IsGreek}'), regexp_like('a', '\\p{IsAlphabetic}'), regexp_replace('a.b', '\\Q.\\E', '!'), regexp_like('ac', '[a-d&&[^b]]{2}'), regexp_like('\u0007', '\\a'), regexp_like('\t', '\\cI'), regexp_like('A', '\\u0041');
SELECT regexp_replace('a', 'a', '$1');
SELECT regexp_replace('a', 'a', '$');
SELECT regexp_replace('a', '(', 'x');
SELECT regexp_like('a', '*');
SELECT NULL RLIKE 'a', regexp_like('a', NULL), rlike('', ''), regexp_like(123, '2');
SELECT regexp_replace('abcabc', 'b', 'X', 3), regexp_replace('abc', 'b', 'X', 10);
SELECT regexp_replace('abc', 'b', 'X', 0);
SELECT regexp_extract('ab\ncd', '^(c.)$', 1), regexp_extract('ab\ncd', '(?m)^(c.)$', 1), regexp_extract('ab\ncd', '(?s)b.c', 0), regexp_extract('a b', '(?x) a \\s b # c', 0), regexp_extract('AB', '(?i:a)B', 0), regexp_extract('abc', '(?:a)(b)', 1);

-- differs: `(?i)` folds the case of every letter
-- ours: true
SELECT regexp_like('É', '(?i)é');
