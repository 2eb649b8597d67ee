//! Where an answer is not Spark's, `docs/functions.md` says so: the list there and the files of `spark/` are one.

use std::collections::BTreeSet;
use std::path::Path;

/// The heading of the list, whose rows start with the words of a directive.
const HEADING: &str = "## Different in the conformance suite";

#[test]
fn every_difference_from_spark_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/functions.md")).unwrap();
    let list = page.split(HEADING).nth(1).expect("the list of differences").split("\n## ").next().unwrap_or_default();
    let rows = list.lines().filter_map(|line| line.strip_prefix("| ")).skip(1);
    let documented: BTreeSet<String> =
        rows.filter_map(|row| row.split(" |").next()).map(|words| words.trim().to_owned()).collect();

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
