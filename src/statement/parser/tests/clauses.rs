//! Nothing is parsed and ignored: every clause of the reference's statement pages either leaves its mark in what the parser
//! hands on, or is refused.
//!
//! A statement without the clause and the same with it must not parse to the same thing. What a clause then does is shown by
//! the files in `tests/slt`; what the words do that may stand and say nothing is in `NOISE`.

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

/// Each of them behind each of the statements: where it does not belong it is refused, and not passed over.
#[test]
fn no_tail_is_passed_over() {
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
fn words_that_say_nothing_are_known() {
    for (plain, noisy) in NOISE {
        if plain.starts_with("SELECT") {
            // They are in the query, and its plan is the same.
            assert!(read(noisy).is_ok(), "{noisy}");
            continue;
        }
        assert_eq!(read(noisy).unwrap(), read(plain).unwrap(), "{noisy}");
    }
}

/// A clause that is given a second time is not passed over either.
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

/// What a statement is read as, without the places at which its words stand.
fn read(sql: &str) -> Result<String> {
    let mut kinds = parse(sql)?.into_iter().map(|statement| (statement.kind, statement.span));
    let (kind, span) = kinds.next().ok_or_else(|| Error::new(ErrorCode::ParseSyntaxError, "no statement"))?;
    if let StatementKind::Query(query) = &kind {
        refuse_ignored(query).map_err(|error| error.at(span))?;
    }
    let places = regex::Regex::new(r"Location\(\d+, ?\d+\)|\(\d+, \d+\)|line: \d+, column: \d+").unwrap();
    Ok(places.replace_all(&format!("{kind:?}"), "_").into_owned())
}
