//! The words of SQL that the editor colours and completes, by where they can stand.
//!
//! They are fewer than the parser knows: a word that is mostly the name of a column (`index`, `title`, `day`) would be
//! coloured and offered where nobody means it. A test holds every one of them against the parser's own list.

/// What begins a clause of a query, or goes on with one.
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

/// What may stand in an expression.
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

/// What follows a word that a name, and not an expression, belongs behind.
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

/// Words that are coloured, beside those above.
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

/// Whether `word` is coloured as a word of SQL.
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

/// Whether `word` cannot be the alias of a relation that stands before it.
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
