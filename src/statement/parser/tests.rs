mod clauses;

use super::*;

fn parse_single(sql: &str) -> StatementKind {
    let mut statements = parse(sql).unwrap();
    assert_eq!(statements.len(), 1, "{sql}");
    statements.remove(0).kind
}

#[test]
fn statements_are_divided_and_placed() {
    let statements = parse("-- a comment; with a semicolon\nSELECT ';';\n\n;USE a; ").unwrap();
    let spans: Vec<_> = statements.iter().map(|statement| statement.span.start).collect();
    assert_eq!(spans, [(2, 1), (4, 2)]);
}

#[test]
fn a_misspelled_keyword_is_named() {
    for (sql, hint) in [
        ("SELECT * FROM t LIMT 5", "did you mean LIMIT instead of LIMT?"),
        ("SELECT * FROM t AS u LIMT 5", "did you mean LIMIT instead of LIMT?"),
        ("SELECT a\nform t", "did you mean FROM instead of FORM?"),
        ("SELECT * FROM t wehre a = 1", "did you mean WHERE instead of WEHRE?"),
        ("SELECT a FROM t GROPU BY a", "did you mean GROUP instead of GROPU?"),
        ("SELECT 1 LIMIT 5 WHERE a", "statements are separated by `;`"),
        ("SELECT 1 SELECT 2", "statements are separated by `;`"),
    ] {
        assert_eq!(parse(sql).unwrap_err().hint.as_deref(), Some(hint), "{sql}");
    }
}

#[test]
fn create_table_takes_every_clause_in_any_order() {
    let StatementKind::CreateTable(table) = parse_single(
        "CREATE OR REPLACE TABLE s.t (a INT NOT NULL COMMENT 'x', b STRUCT<c: ARRAY<DOUBLE>, d: DECIMAL(10, 2)>)
         COMMENT 'c' TBLPROPERTIES ('delta.appendOnly' = 'true', k.l = 1) PARTITIONED BY (a) USING delta LOCATION :w || '/t'",
    ) else {
        panic!("not a table")
    };
    assert!(table.or_replace && table.query.is_none());
    assert_eq!(table.columns[1].data_type, "STRUCT < c : ARRAY < DOUBLE > , d : DECIMAL ( 10 , 2 ) >");
    assert!(table.columns[0].not_null && table.columns[0].comment.as_deref() == Some("x"));
    assert_eq!(table.properties[1], ("k.l".to_owned(), "1".to_owned()));
    assert_eq!((table.partitioned_by.len(), table.comment.as_deref()), (1, Some("c")));
    assert!(table.location.is_some());
}

#[test]
fn insert_tells_a_column_list_from_a_query() {
    for (sql, columns) in [
        ("INSERT INTO t (a, b) SELECT 1, 2", 2),
        ("INSERT INTO t (SELECT 1)", 0),
        ("INSERT OVERWRITE TABLE t VALUES (1)", 0),
        ("INSERT INTO t BY NAME SELECT 1 AS a", 0),
    ] {
        let StatementKind::Insert(insert) = parse_single(sql) else { panic!("{sql}") };
        assert_eq!(insert.columns.len(), columns, "{sql}");
    }
}

#[test]
fn errors_carry_their_place() {
    let check = |sql: &str, start: (u64, u64), text: &str| {
        let error = parse(sql).unwrap_err();
        assert!(error.message.contains(text), "{sql}: {}", error.message);
        assert_eq!(error.span.unwrap().start, start, "{sql}: {}", error.message);
    };
    check("SELECT 1;\nSELEKT 2", (2, 1), "the statement SELEKT is not supported");
    check("SELECT a FROM t WHERE", (1, 22), "expected an expression, found the end of the statement");
    check("SELECT 'open", (1, 8), "Unterminated string literal");
    check("CREATE TABLE t USING parquet", (1, 22), "USING PARQUET is not supported");
    check("SELECT 1 SELECT 2", (1, 10), "unexpected `SELECT` after");
    check("SELECT * FROM t LIMT 5", (1, 22), "unexpected `5` after");
    check("INSERT INTO t REPLACE USING (a) SELECT 1", (1, 15), "INSERT INTO … REPLACE USING is not supported");
    check(&format!("SELECT {}1{}", "(".repeat(500), ")".repeat(500)), (1, 107), "nests deeper than");
}
