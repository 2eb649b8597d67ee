//! The SQL keywords that the editor colours and completes, by their place.
//!
//! Keywords that are mostly used as names of columns (`index`, `title`, `day`) are left out: they would be coloured and
//! suggested in the wrong places. A test checks that the parser has every keyword.

/// Keywords that begin or continue a clause of a query.
pub(super) const CLAUSES: &[&str] = &[
    "FROM",
    "WHERE",
    "GROUP BY",
    "HAVING",
    "QUALIFY",
    "ORDER BY",
    "LIMIT",
    "OFFSET",
    "UNION ALL",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "JOIN",
    "INNER JOIN",
    "LEFT JOIN",
    "RIGHT JOIN",
    "FULL JOIN",
    "CROSS JOIN",
    "LEFT SEMI JOIN",
    "LEFT ANTI JOIN",
    "LATERAL VIEW",
    "ON",
    "USING",
    "WINDOW",
    "AS",
];

/// Keywords in expressions.
pub(super) const IN_EXPRESSIONS: &[&str] = &[
    "AND",
    "OR",
    "NOT",
    "IN",
    "IS NULL",
    "IS NOT NULL",
    "BETWEEN",
    "LIKE",
    "ILIKE",
    "RLIKE",
    "EXISTS",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "CAST(",
    "TRY_CAST(",
    "INTERVAL",
    "DISTINCT",
    "NULL",
    "TRUE",
    "FALSE",
    "ASC",
    "DESC",
    "NULLS FIRST",
    "NULLS LAST",
    "OVER (",
    "PARTITION BY",
    "DATE",
    "TIMESTAMP",
    "FILTER (",
];

/// The words that can follow a keyword, where no expression is possible.
pub(super) const AFTER: &[(&str, &[&str])] = &[
    (
        "CREATE",
        &[
            "TABLE",
            "OR REPLACE TABLE",
            "SCHEMA",
            "TEMPORARY VIEW",
            "OR REPLACE TEMPORARY VIEW",
            "VIEW",
            "OR REPLACE VIEW",
            "STREAMING TABLE",
            "OR REFRESH STREAMING TABLE",
            "SINK",
            "OR REFRESH SINK",
            "FUNCTION",
            "OR REPLACE FUNCTION",
            "TEMPORARY FUNCTION",
        ],
    ),
    (
        "DROP",
        &["TABLE", "TABLE IF EXISTS", "VIEW", "VIEW IF EXISTS", "SCHEMA", "SINK", "FUNCTION", "TEMPORARY VARIABLE"],
    ),
    (
        "SHOW",
        &[
            "TABLES",
            "SCHEMAS",
            "VIEWS",
            "COLUMNS IN",
            "SINKS",
            "FUNCTIONS",
            "CREATE TABLE",
            "TBLPROPERTIES",
            "PARTITIONS",
        ],
    ),
    ("DESCRIBE", &["TABLE", "EXTENDED", "HISTORY", "DETAIL", "FUNCTION"]),
    ("DESC", &["TABLE", "EXTENDED", "HISTORY", "DETAIL", "FUNCTION"]),
    ("ALTER", &["TABLE"]),
    ("INSERT", &["INTO", "OVERWRITE"]),
    ("MERGE", &["INTO"]),
    ("DELETE", &["FROM"]),
    ("COPY", &["INTO"]),
    ("EXPLAIN", &["ANALYZE", "SELECT"]),
    ("DECLARE", &["VARIABLE", "OR REPLACE VARIABLE"]),
    ("SELECT", &["DISTINCT", "*"]),
    ("FROM", &["STREAM"]),
    ("OR", &["REPLACE", "REFRESH"]),
    ("REPLACE", &["TABLE", "VIEW", "TEMPORARY VIEW", "FUNCTION", "VARIABLE"]),
    ("REFRESH", &["STREAMING TABLE", "SINK"]),
    ("TEMPORARY", &["VIEW", "FUNCTION", "VARIABLE"]),
    ("STREAMING", &["TABLE"]),
    ("IF", &["EXISTS", "NOT EXISTS"]),
    ("GROUP", &["BY"]),
    ("ORDER", &["BY"]),
];

/// More keywords that are coloured.
const OTHERS: &[&str] = &[
    "SELECT",
    "WITH",
    "VALUES",
    "EXPLAIN",
    "ANALYZE",
    "CREATE",
    "DROP",
    "ALTER",
    "SHOW",
    "DESCRIBE",
    "USE",
    "INSERT",
    "INTO",
    "OVERWRITE",
    "UPDATE",
    "SET",
    "DELETE",
    "MERGE",
    "MATCHED",
    "OPTIMIZE",
    "VACUUM",
    "RESTORE",
    "DECLARE",
    "REPLACE",
    "TABLE",
    "VIEW",
    "SCHEMA",
    "STREAMING",
    "STREAM",
    "TEMPORARY",
    "IF",
    "COMMENT",
    "PARTITIONED",
    "BY",
    "TBLPROPERTIES",
    "LOCATION",
    "CONSTRAINT",
    "EXPECT",
    "VIOLATION",
    "VERSION",
    "OF",
    "ALL",
    "ANY",
    "RETURN",
    "RETURNS",
    "COPY",
    "SINK",
    "REFRESH",
    "OR",
    "NULLS",
    "RECURSIVE",
    "SOURCE",
    "EXECUTE",
    "IMMEDIATE",
];

/// True if `word` is coloured as a keyword.
pub(in crate::cli::repl) fn is_keyword(word: &str) -> bool {
    let has = |phrases: &[&str]| {
        phrases.iter().any(|phrase| {
            phrase
                .split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
                .any(|part| !part.is_empty() && part.eq_ignore_ascii_case(word))
        })
    };
    OTHERS.iter().any(|other| other.eq_ignore_ascii_case(word)) || has(CLAUSES) || has(IN_EXPRESSIONS)
}

/// True if `word` cannot be the alias of the relation before it.
pub(super) fn ends_relation(word: &str) -> bool {
    const MORE: &[&str] = &["SET", "WHEN", "VALUES", "SELECT", "TABLESAMPLE", "VERSION", "TIMESTAMP", "CLUSTER", "BY"];
    let begins = |phrase: &&&str| phrase.split(' ').any(|part| part.eq_ignore_ascii_case(word));
    CLAUSES.iter().any(|phrase| begins(&phrase)) || MORE.iter().any(|other| other.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_known_in_any_case() {
        assert!(is_keyword("select") && is_keyword("By") && is_keyword("LATERAL") && is_keyword("try_cast"));
        assert!(!is_keyword("title") && !is_keyword("index") && !is_keyword(""));
        assert!(ends_relation("where") && ends_relation("left") && !ends_relation("p"));
    }
}
