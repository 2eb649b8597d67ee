//! The random queries that PySpark answered. pinsql returns the same rows with the same types, or refuses the query.
//!
//! `ask_spark.py` writes `spark_answers.txt`. A line is: the query, the types, the rows, divided by tabs. Many rows are their
//! number and their hash. In the place of the types, `!` and a condition stand for Spark's error, which is about names or types:
//! pinsql refuses such a query. A line that starts with `?` is known to differ. `PINSQL_TEST_RANDOM_ANSWERS=path` takes another
//! file, whose lines can also have the query alone.

use super::run::{Database, Ended};
use super::{each, writing_report};

const ANSWERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/statement/query/random_tests/spark_answers.txt");
/// Each fifth line is run, or all with `PINSQL_TEST_RANDOM`.
const STEP: usize = 5;
/// Longer rows are a hash.
const ROWS_SHOWN_MAX: usize = 120;

#[test]
fn random_queries_have_the_rows_of_spark() {
    let path = std::env::var_os("PINSQL_TEST_RANDOM_ANSWERS").unwrap_or_else(|| ANSWERS.into());
    let text = std::fs::read_to_string(path).unwrap();
    let step = if std::env::var_os("PINSQL_TEST_RANDOM").is_some() { 1 } else { STEP };
    let lines: Vec<&str> = text.lines().step_by(step).collect();
    let ended = each(0..lines.len() as u64, async |database: &Database, number| {
        let line = lines[usize::try_from(number).unwrap()];
        let query = line.strip_prefix('?').unwrap_or(line).split('\t').next().unwrap();
        database.answer(query, true).await
    });
    writing_report(&ended, |number| lines[usize::try_from(number).unwrap()].to_owned());
    let differs = |(number, ended): &(u64, Ended)| difference(lines[usize::try_from(*number).unwrap()], ended);
    let differences: Vec<String> = ended.iter().filter_map(differs).collect();
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n\n"));
}

/// What is wrong about the end of a query.
fn difference(line: &str, ended: &Ended) -> Option<String> {
    let is_open = line.starts_with('?');
    let parts: Vec<&str> = line.strip_prefix('?').unwrap_or(line).splitn(3, '\t').collect();
    let fault = match (ended.fault(), ended.answer(), parts.as_slice()) {
        (Some(fault), _, _) => Some(fault),
        (None, Some(answer), [_, error]) => {
            Some(format!("Spark: {error}, pinsql: {} rows with the types {}", answer.rows.len(), answer.types))
        }
        (None, Some(answer), [_, types, rows]) => {
            let (our_types, our_rows) = (&answer.types, shortened(&answer.rows));
            (our_types != types || our_rows != *rows).then(|| {
                format!("Spark:  {types}: {rows}\npinsql: {our_types}: {our_rows}\n{:.2000}", answer.rows.join(" / "))
            })
        }
        _ => None,
    };
    match (fault, is_open) {
        (Some(_), true) => None,
        (Some(fault), false) => Some(format!("{}\n{fault}", parts[0])),
        (None, true) => Some(format!("{}\nno longer differs: remove its `?`", parts[0])),
        (None, false) => None,
    }
}

/// The sorted rows as one text, or their number and hash.
fn shortened(rows: &[String]) -> String {
    let text = rows.join(" / ");
    match text.chars().count() > ROWS_SHOWN_MAX {
        true => format!("#{} {:016x}", rows.len(), hash(&text)),
        false => text,
    }
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
