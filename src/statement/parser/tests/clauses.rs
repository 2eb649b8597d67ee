//! No clause is parsed and ignored: every clause in Databricks' reference of statements changes the parsed statement or is
//! refused.
//!
//! A statement with a clause must not parse to the same tree as the statement without it. The files in `tests/slt` test the
//! effect of the clauses. `NOISE` lists the words that are optional and have no effect.

mod queries;
mod statements;

use self::queries::{NOISE, QUERIES, TAILS};
use self::statements::CLAUSES;
use super::*;
use crate::statement::query::refuse_ignored;

#[test]
fn every_clause_acts_or_is_refused() {
    let mut ignored = Vec::new();
    for (base, variants) in CLAUSES {
        let plain = read(base).unwrap_or_else(|error| panic!("{base}: {}", error.message));
        for variant in *variants {
            match read(variant) {
                Ok(given) if given == plain => ignored.push(*variant),
                Ok(_) => {}
                Err(error) => assert!(error.span.is_some(), "{variant}: {} has no place", error.message),
            }
        }
    }
    assert!(ignored.is_empty(), "a clause is parsed and ignored: {ignored:#?}");
}

/// Every tail after every statement. A tail that does not belong to the statement is refused, and not ignored.
#[test]
fn no_tail_is_ignored() {
    for (base, variants) in CLAUSES {
        for statement in std::iter::once(base).chain(*variants) {
            let Ok(plain) = read(statement) else { continue };
            for tail in TAILS {
                let longer = format!("{statement} {tail}");
                if let Ok(given) = read(&longer) {
                    assert_ne!(given, plain, "a clause is parsed and ignored: {longer}");
                }
            }
        }
    }
}

#[test]
fn every_clause_of_a_query_is_in_it_or_refused() {
    let plain = read("SELECT a FROM t").unwrap();
    for query in QUERIES {
        match read(query) {
            Ok(given) => assert_ne!(given, plain, "a clause is parsed and ignored: {query}"),
            Err(error) => assert!(error.span.is_some(), "{query}: {} has no place", error.message),
        }
    }
}

#[test]
fn words_without_effect_are_listed() {
    for (plain, noisy) in NOISE {
        if plain.starts_with("SELECT") {
            // The words are in the tree, but the plan is the same.
            assert!(read(noisy).is_ok(), "{noisy}");
            continue;
        }
        assert_eq!(read(noisy).unwrap(), read(plain).unwrap(), "{noisy}");
    }
}

/// A clause that is given twice is not ignored either.
#[test]
fn a_clause_given_twice_is_refused() {
    for sql in [
        "CREATE TABLE t (a INT) COMMENT 'a' COMMENT 'b'",
        "CREATE TABLE t (a INT) TBLPROPERTIES ('a' = 'b') TBLPROPERTIES ('c' = 'd')",
        "CREATE TABLE t (a INT) TBLPROPERTIES ('a' = 'b', 'a' = 'c')",
        "CREATE TABLE t (a INT) PARTITIONED BY (a) PARTITIONED BY (a)",
        "CREATE TABLE t (a INT NOT NULL NOT NULL)",
        "CREATE TABLE t (a INT COMMENT 'a' COMMENT 'b')",
        "COPY INTO t FROM 'x' FILEFORMAT = JSON PATTERN = 'a' PATTERN = 'b'",
        "COPY INTO t FROM 'x' FILEFORMAT = JSON FORMAT_OPTIONS ('a' = 'b') FORMAT_OPTIONS ('c' = 'd')",
        "ALTER TABLE t ADD COLUMN a INT FIRST AFTER b",
    ] {
        let error = read(sql).expect_err(sql);
        assert!(error.span.is_some(), "{sql}: {} has no place", error.message);
    }
}

/// The parsed statement as text, without places.
fn read(sql: &str) -> Result<String> {
    let mut kinds = parse(sql)?.into_iter().map(|statement| (statement.kind, statement.span));
    let (kind, span) = kinds.next().ok_or_else(|| Error::new(ErrorCode::ParseSyntaxError, "no statement"))?;
    if let StatementKind::Query(query) = &kind {
        refuse_ignored(query).map_err(|error| error.at(span))?;
    }
    let places = regex::Regex::new(r"Location\(\d+, ?\d+\)|\(\d+, \d+\)|line: \d+, column: \d+").unwrap();
    Ok(places.replace_all(&format!("{kind:?}"), "_").into_owned())
}
