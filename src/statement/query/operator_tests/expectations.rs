//! Rows that violate the expectations of a streaming table.

use sqlparser::ast::Expr;
use sqlparser::dialect::DatabricksDialect;
use sqlparser::parser::Parser;

use super::{Stream, messages};
use crate::statement::query::expectations::Expectation;
use pinsql_base::error::{ErrorKind, Span};
use pinsql_sources::operators::OnViolation;
use pinsql_sources::operators::expectation::ExpectationCount;

fn expectation(name: &str, condition: &str, action: OnViolation) -> Expectation {
    let text = condition.to_owned();
    let condition: Expr = Parser::new(&DatabricksDialect {}).try_with_sql(condition).unwrap().parse_expr().unwrap();
    Expectation { name: name.to_owned(), condition, text, action, span: Span { start: (1, 1), end: (1, 2) } }
}

const SQL: &str = "SELECT TRY_CAST(data AS INT) AS Number, data FROM `stream s`";

#[tokio::test]
async fn rows_are_kept_or_dropped_and_counted() {
    let stream = Stream::new().await.expecting(vec![
        expectation("is_small", "number < 10", OnViolation::Keep),
        expectation("is_number", "number IS NOT NULL", OnViolation::DropRow),
        expectation("is_even", "NUMBER % 2 = 0", OnViolation::DropRow),
    ]);
    let outcome = stream.run(SQL, &messages(&["2", "x", "30", "3", "4"])).await.unwrap();
    assert_eq!(outcome.rows, ["2|2", "30|30", "4|4"]);
    assert_eq!(
        outcome.rejects,
        [
            // NULL is a violation.
            "number 2: violates the expectation is_number: number IS NOT NULL; violates the expectation is_even: NUMBER % 2 = 0",
            "number 4: violates the expectation is_even: NUMBER % 2 = 0",
        ]
    );
    assert_eq!(outcome.raw, ["x", "3"]);
    let count = |name: &str| outcome.ledger.expectations[name];
    assert_eq!(count("is_small"), ExpectationCount { passed: 3, failed: 2 });
    assert_eq!(count("is_number"), ExpectationCount { passed: 4, failed: 1 });
    assert_eq!(count("is_even"), ExpectationCount { passed: 3, failed: 2 });
    assert_eq!(outcome.ledger.rejected, 2);
}

#[tokio::test]
async fn a_violation_can_stop_the_stream_and_names_the_record() {
    let stream = Stream::with(1, 100).await.expecting(vec![expectation("c", "number > 0", OnViolation::FailUpdate)]);
    let error = stream.run(SQL, &messages(&["2", "-1"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_eq!(error.message, "messages, number 2: the record violates the expectation c: number > 0");
    assert_eq!(error.source.unwrap().to_string(), "the row is Number = -1, data = -1");
}

#[tokio::test]
async fn a_condition_that_fails_on_a_record_rejects_it() {
    let stream = Stream::new().await.expecting(vec![expectation("c", "CAST(data AS INT) > 0", OnViolation::Keep)]);
    let outcome = stream.run(SQL, &messages(&["2", "x", "0"])).await.unwrap();
    assert_eq!(outcome.rows, ["0|0", "2|2"]);
    assert_eq!(outcome.rejects, ["number 2: cannot cast the string 'x' to INT"]);
    assert_eq!(outcome.ledger.expectations["c"], ExpectationCount { passed: 1, failed: 1 });
}

#[tokio::test]
async fn a_condition_must_be_one_of_the_rows() {
    let check = async |condition: &str, expected: &str| {
        let stream = Stream::new().await.expecting(vec![expectation("c", condition, OnViolation::Keep)]);
        let error = stream.run(SQL, &messages(&["1"])).await.unwrap_err();
        assert_eq!((error.kind(), error.message.as_str()), (ErrorKind::Sql, expected));
        assert!(error.span.is_some());
    };
    check("numbr > 1", "there is no column `numbr`").await;
    check("length > 1", "there is no column `length`").await;
    check("number + 1", "the expectation `c` must be a BOOLEAN, and is of type INT").await;
    check("EXISTS (SELECT 1)", "the expectation `c` cannot contain a subquery").await;
}
