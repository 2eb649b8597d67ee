//! `docs/functions.md` lists each answer that differs from Spark. The list and the files of `spark/` must agree.

use std::collections::BTreeSet;
use std::path::Path;

use crate::Database;

/// The heading of the list. A row starts with the text of a `differs` directive.
const HEADING: &str = "## Different in the conformance suite";

#[test]
fn every_difference_from_spark_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/functions.md")).unwrap();
    let list = page.split(HEADING).nth(1).expect("the list of differences").split("\n## ").next().unwrap_or_default();
    let rows = list.lines().filter_map(|line| line.strip_prefix("| ")).skip(1);
    let documented: BTreeSet<String> =
        rows.filter_map(|row| row.split(" | ").next()).map(|words| words.trim().replace(r"\|", "|")).collect();

    let mut differences = BTreeSet::new();
    for entry in std::fs::read_dir(root.join("tests/slt/spark")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            let queries = std::fs::read_to_string(&path).unwrap();
            differences.extend(queries.lines().filter_map(|line| line.strip_prefix("-- differs: ")).map(str::to_owned));
        }
    }
    assert_eq!(documented, differences, "docs/functions.md on the left, the directives on the right");
}

/// The heading of the table of functions with Spark's results.
const CONFORMING: &str = "## The same, function by function";
/// The minimum number of functions in that table.
const CONFORMING_MIN: usize = 150;

#[test]
fn every_function_of_the_table_has_a_query() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/functions.md")).unwrap();
    let section = page.split(CONFORMING).nth(1).expect("the table").split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| operators"));
    let names: BTreeSet<&str> = rows
        .flat_map(|row| row.split('`').skip(1).step_by(2))
        .filter(|name| {
            name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
        })
        .collect();

    let mut asked = String::new();
    for folder in ["tests/slt", "tests/slt/spark"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "sql" || extension == "slt") {
                asked.push_str(&std::fs::read_to_string(&path).unwrap().to_lowercase());
            }
        }
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let known = runtime.block_on(async { Database::open().await.unwrap().session.built_in_functions() });
    let unlisted: Vec<&&str> = names.iter().filter(|name| !known.contains(**name)).collect();
    assert!(unlisted.is_empty(), "SHOW FUNCTIONS does not list {unlisted:?}");
    let never: Vec<&&str> = names.iter().filter(|name| !asked.contains(&format!("{name}("))).collect();
    assert!(never.is_empty(), "no query calls {never:?}");
    assert!(names.len() >= CONFORMING_MIN, "only {} functions conform", names.len());
}
