//! `docs/functions.md` lists the functions that DataFusion has and Spark does not have. Spark's names are in
//! `spark/functions.txt`, one per line, from `SHOW FUNCTIONS`. `PINSQL_UPDATE_DOCS=1` writes the list.

use std::collections::BTreeSet;
use std::path::Path;

use pinsql::session::Session;

use crate::Database;

/// The lines before and after the list.
const START: &str = "<!-- DataFusion's own: made by tests/slt/functions.rs -->\n";
const END: &str = "<!-- end -->";

const COLUMNS: usize = 120;

/// Functions of Databricks that Spark's `SHOW FUNCTIONS` does not list, our names of operators and of `decode`, and our functions
/// that are in docs/sql.md.
const OURS: [&str; 7] =
    ["charindex", "timestampadd", "timestampdiff", "bitwise_not", "decode_bytes", "gunzip", "try_gunzip"];

#[test]
fn functions_that_spark_does_not_have_are_listed() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let names = runtime.block_on(async { names(&Database::open().await.unwrap().session) });
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let spark = std::fs::read_to_string(root.join("tests/slt/spark/functions.txt")).unwrap();
    let spark: BTreeSet<&str> = spark.lines().collect();
    // SQL cannot call a name with a blank. The functions of the pipeline are on another page.
    let pipeline: BTreeSet<String> = pinsql_udfs::all().iter().map(|function| function.name().to_owned()).collect();
    let is_ours = |name: &String| pipeline.contains(name) || OURS.contains(&name.as_str());
    let is_listed = |name: &&String| !spark.contains(name.as_str()) && !name.contains(' ') && !is_ours(name);
    let list = wrapped(names.iter().filter(is_listed));

    let path = root.join("docs/functions.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(START).expect("the start of the list");
    let (kept, after) = rest.split_once(END).expect("the end of the list");
    if std::env::var_os("PINSQL_UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{START}{list}{END}{after}")).unwrap();
    } else {
        assert_eq!(kept, list, "PINSQL_UPDATE_DOCS=1 writes the list");
    }
}

fn names(session: &Session) -> BTreeSet<String> {
    let state = session.state();
    let names = state.scalar_functions().keys().chain(state.aggregate_functions().keys());
    names.chain(state.window_functions().keys()).chain(state.higher_order_functions().keys()).cloned().collect()
}

/// The names in lines of a code block, so that Markdown does not interpret them.
fn wrapped<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let mut lines = vec![String::new()];
    for name in names {
        let last = lines.last_mut().unwrap();
        if last.len() + name.len() + 2 > COLUMNS {
            lines.push(name.clone());
        } else {
            let separator = if last.is_empty() { "" } else { ", " };
            last.push_str(&format!("{separator}{name}"));
        }
    }
    format!("```text\n{}\n```\n", lines.join("\n"))
}
