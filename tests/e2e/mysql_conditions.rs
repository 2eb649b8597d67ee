//! Conditions that the server evaluates. Each must give the same rows with and without pushdown.

use crate::environment::TestEnvironment;
use crate::mariadb;
use crate::mysql::call;

/// Texts that collations and byte comparison order differently, for columns with several collations.
const TEXTS: &str = r"
CREATE TABLE texts (
  id INT PRIMARY KEY,
  general VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,
  bin VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  nopad VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_nopad_ci,
  latin VARCHAR(20) CHARACTER SET latin1,
  fixed CHAR(6) CHARACTER SET utf8mb4,
  named ENUM('a', 'A', 'b', '1', '') CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  n INT, u BIGINT UNSIGNED, d DECIMAL(8,3), f FLOAT, x DOUBLE, y YEAR, flag TINYINT(1), b BIT(1), day DATE, at DATETIME(6),
  KEY (general), KEY (latin), KEY (n), KEY (day)
);
INSERT INTO texts VALUES
  (1, 'a', 'a', 'a', 'a', 'a', 'a', 1, 1, 1.5, 0.1, 0.1, 2017, 1, b'1', '2017-01-01', '2017-01-01 00:00:00.000001'),
  (2, 'A', 'A', 'A', 'A', 'A', 'b', -1, 18446744073709551615, -1.5, -0.1, -0.1, 2018, 0, b'0', '2018-01-01', '2018-01-01'),
  (3, 'a ', 'a ', 'a ', 'a ', 'a ', 'b', 70, 70, 70, 70, 70, 1970, 0, b'0', '0000-00-00', '0000-00-00'),
  (4, 'á', 'á', 'á', 'á', 'á', '1', 0, 0, 0, 0, 0, 2000, NULL, NULL, '1999-12-31', '1999-12-31 23:59:59.999999'),
  (5, 'ß', 'ß', 'ß', 'ß', 'ß', '', 5, 5, 0.005, 1e10, 12345678.5, 1901, 1, b'1', '2026-00-10', '2026-00-10'),
  (6, 'ss', 'ss', 'ss', 'ss', 'ss', 'a', 6, 6, 6, 6, 6, 2155, 1, b'1', '9999-12-31', '9999-12-31'),
  (7, 'b\\%_|', 'b\\%_|', 'b\\%_|', 'b\\%_|', 'b\\%_|', 'a', 7, 7, 7, 7, 7, 0, 0, b'0', '2017-01-02', '2017-01-02'),
  (8, '', '', '', '', '', 'a', 8, 8, 8, 8, 8, 1999, 1, b'1', '2017-01-03', '2017-01-03'),
  (9, ' ', ' ', ' ', '~', ' ', 'a', 9, 9, 9, 9, 9, 1998, 1, b'1', '2017-01-04', '2017-01-04'),
  (10, '😀b', '😀b', '😀b', 'x', '😀b', 'b', 10, 10, 10, 10, 10, 1997, 1, b'1', '2017-01-05', '2017-01-05'),
  (11, 'a\nb', 'a\nb', 'a\nb', 'a\nb', 'a\nb', 'b', 11, 11, 11, 11, 11, 1996, 1, b'1', '2017-01-06', '2017-01-06'),
  (12, 'quo''te\'', 'q', 'q', 'q', 'q', 'b', 12, 12, 12, 12, 12, 1995, 1, b'1', '2017-01-07', '2017-01-07'),
  (13, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
UPDATE texts SET x = -0e0 WHERE id = 4;
";

/// Conditions on columns of text. For some texts, a collation treats different bytes as equal.
fn text_conditions() -> Vec<String> {
    let mut conditions = Vec::new();
    for column in ["general", "bin", "nopad", "latin", "fixed", "named"] {
        for text in ["a", "A", "a ", "ß", "", "😀b"] {
            for operator in ["=", "<>", "<", ">="] {
                conditions.push(format!("{column} {operator} '{text}'"));
            }
        }
        for rest in [
            "IN ('a', 'ß', 'z')",
            "NOT IN ('a', 'á')",
            "IS NULL",
            "BETWEEN 'a' AND 'b'",
            "LIKE 'A%'",
            "LIKE 'a_'",
            "LIKE '_b'",
            "LIKE 'a_b'",
            "LIKE '%|'",
            "NOT LIKE '%b%'",
            r"LIKE 'b\\\\%'",
            "LIKE ''",
            "ILIKE 'A%'",
            r"= 'quo\'te\''",
            "IN ('a', NULL)",
        ] {
            conditions.push(format!("{column} {rest}"));
        }
    }
    conditions
}

fn other_conditions() -> Vec<String> {
    let mut conditions = Vec::new();
    for column in ["n", "u", "d", "f", "x", "y"] {
        for number in ["-1", "0", "70", "1.5", "0.1", "2017", "18446744073709551615"] {
            for operator in ["=", "<>", "<", ">="] {
                conditions.push(format!("{column} {operator} {number}"));
            }
        }
        conditions.push(format!("{column} BETWEEN 1 AND 70"));
        conditions.push(format!("{column} NOT IN (1, 70, 2017)"));
        conditions.push(format!("{column} IS NULL OR NOT ({column} > 5)"));
    }
    for (column, moments) in [
        ("day", ["DATE '2017-01-01'", "DATE '0001-01-01'", "DATE '9999-12-31'"]),
        ("at", ["TIMESTAMP '2017-01-01 00:00:00.000001'", "TIMESTAMP '1999-12-31'", "TIMESTAMP '9999-12-31'"]),
    ] {
        for moment in moments {
            for operator in ["=", "<>", "<", ">="] {
                conditions.push(format!("{column} {operator} {moment}"));
                conditions.push(format!("NOT ({column} {operator} {moment})"));
            }
        }
        for rest in ["IS NULL", "IS NOT NULL", "IN (DATE '2017-01-01', DATE '2018-01-01')", "< '2018-01-01'"] {
            conditions.push(format!("{column} {rest}"));
            conditions.push(format!("NOT ({column} {rest})"));
        }
    }
    for column in ["flag", "b"] {
        for rest in ["", "IS NULL", "= true", "= false", "<> true", "IS NOT TRUE"] {
            conditions.push(format!("{column} {rest}"));
            conditions.push(format!("NOT ({column} {rest})"));
        }
    }
    let mixed = [
        "general = 'a' AND n > 0 OR latin = 'A'",
        "(general = 'a' OR f > 1) AND n >= 0",
        "NOT (general = 'a' AND f > 1)",
        "NOT (n > 5 OR day > DATE '2017-01-01')",
        "flag AND NOT b OR n IS NULL",
        "upper(general) = 'A' AND n < 100",
        "CASE WHEN n > 5 THEN general = 'a' ELSE bin = 'A' END",
    ];
    conditions.extend(mixed.map(str::to_owned));
    conditions
}

/// Evaluates each condition over the server's table and over a copy in pinsql.
fn check_conditions(conditions: &[String]) {
    let environment = TestEnvironment::new();
    let database = mariadb::server().database("texts");
    database.load(TEXTS);
    let from = call(&database, "texts", ", sslMode => 'DISABLED'");
    environment.run_sql(&format!("CREATE TABLE texts AS SELECT * FROM {from}")).output().success();
    let mut script = format!("CREATE TEMPORARY VIEW pushed AS SELECT * FROM {from};\n");
    for condition in conditions {
        for table in ["pushed", "texts"] {
            script += &format!("SELECT array_agg(id ORDER BY id) AS ids FROM {table} WHERE {condition};\n");
        }
    }
    let output = environment.run_sql(&script).arguments(&["--format", "ndjson"]).output().success();
    let answers = output.rows();
    assert_eq!(answers.len(), conditions.len() * 2);
    for (condition, answer) in conditions.iter().zip(answers.chunks(2)) {
        assert_eq!(answer[0], answer[1], "pushed down and not, {condition}");
    }
}

#[test]
fn conditions_on_texts_give_the_same_rows_with_and_without_pushdown() {
    check_conditions(&text_conditions());
}

#[test]
fn conditions_on_other_types_give_the_same_rows_with_and_without_pushdown() {
    check_conditions(&other_conditions());
}
