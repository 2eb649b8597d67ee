//! The rules of the optimizer change no row: each query gives the same rows with all rules and with the needed rules alone.

use std::sync::Arc;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_plan::collect;

use super::{Purpose, plan};
use crate::config::{Config, Layer};
use crate::session::Session;
use crate::statement::ast::StatementKind;
use crate::statement::parser::parse;

/// The rules without which a plan cannot run.
const NEEDED: [&str; 7] = [
    "rewrite_set_comparison",
    "simplify_expressions",
    "replace_distinct_aggregate",
    "decorrelate_predicate_subquery",
    "scalar_subquery_to_join",
    "decorrelate_lateral_join",
    // A sort that keeps no row panics.
    "eliminate_limit",
];

/// Relations for the FROM clauses: one with rows, one with NULLs, one without rows.
const T: &str = "(SELECT * FROM VALUES (1, 'x', 10), (2, 'y', 20), (2, 'y', NULL), (3, 'z', 0) AS v(k, g, n)) AS t";
const U: &str = "(SELECT * FROM VALUES (2, 5), (3, 6), (4, NULL), (NULL, 7) AS v(k, m)) AS u";
const E: &str = "(SELECT * FROM VALUES (1, 1) AS v(k, w) WHERE k > 5) AS e";

/// Relations with a constant column above an aggregate, a LIMIT, a window, or a set operation.
const INNER: [&str; 12] = [
    "SELECT count(*) AS a, 'one' AS b FROM {T}",
    "SELECT max(w) AS a, 'one' AS b FROM {E}",
    "SELECT g AS a, 'one' AS b FROM {T} GROUP BY g",
    "SELECT count(*) AS a, 'one' AS b FROM {E} GROUP BY ROLLUP (k)",
    "SELECT sum(n) AS a, 'one' AS b FROM {T} GROUP BY GROUPING SETS ((k), ())",
    "SELECT n AS a, 'one' AS b FROM {T} ORDER BY n LIMIT 2",
    "SELECT n AS a, 'one' AS b FROM {T} ORDER BY n, k OFFSET 1",
    "SELECT sum(n) OVER (PARTITION BY g) AS a, 'one' AS b FROM {T}",
    "SELECT DISTINCT g AS a, 'one' AS b FROM {T}",
    "SELECT count(*) AS a, 'one' AS b FROM {T} UNION ALL SELECT count(*), 'two' FROM {E}",
    "SELECT t.n AS a, 'one' AS b FROM {T} LEFT JOIN {U} ON t.k = u.k AND u.m > 5",
    // Without NULLIF, the needed rules alone make a plan whose nullability DataFusion's planner refuses.
    "SELECT NULLIF((SELECT count(*) FROM {U} WHERE u.k = t.k), -1) AS a, 'one' AS b FROM {T}",
];

/// Queries over each of them.
const OUTER: [&str; 14] = [
    "SELECT * FROM ({I}) AS i WHERE b = 'two'",
    "SELECT * FROM ({I}) AS i WHERE b <> 'two' AND 1 = 1",
    "SELECT * FROM ({I}) AS i WHERE 1 = 0",
    "SELECT * FROM ({I}) AS i WHERE b IS NULL OR b IN ('two')",
    "SELECT b FROM ({I}) AS i",
    "SELECT 1 AS c FROM ({I}) AS i",
    "SELECT count(*) AS c FROM ({I}) AS i WHERE b = 'two'",
    "SELECT count(*) AS c FROM (SELECT b FROM ({I}) AS i LIMIT 1) AS j",
    "SELECT u.k, i.b FROM {U} LEFT JOIN ({I}) AS i ON i.b = 'two'",
    "SELECT u.k, i.b FROM ({I}) AS i RIGHT JOIN {U} ON i.b = 'two' AND u.k = 2",
    "SELECT u.k, i.b FROM {U} FULL JOIN ({I}) AS i ON i.b = 'two'",
    "SELECT u.k FROM {U} WHERE EXISTS (SELECT 1 FROM ({I}) AS i WHERE i.b = 'two')",
    "SELECT u.k FROM {U} WHERE 'two' IN (SELECT b FROM ({I}) AS i) OR u.k = 3",
    "SELECT u.k, u.m NOT IN (SELECT u2.k FROM {U} AS u2 WHERE u2.m > u.m) AS c FROM {U}",
];

fn written(sql: &str, inner: &str) -> String {
    let sql = sql.replace("{I}", inner);
    // An alias of its own for a second use of a relation.
    let sql = sql.replace("{U} AS u2", &U.replace("AS u", "AS u2"));
    sql.replace("{T}", T).replace("{U}", U).replace("{E}", E)
}

async fn session() -> Session {
    let none = tempfile::NamedTempFile::new().unwrap();
    let flags = Layer {
        warehouse: Some(std::env::temp_dir().join("pinsql-no-warehouse").display().to_string()),
        threads: Some(2),
        ..Layer::default()
    };
    Session::new(Config::resolve(flags, Some(none.path())).unwrap()).await.unwrap()
}

/// The rows of the query, sorted.
async fn rows(session: &Session, sql: &str, with_all_rules: bool) -> Vec<String> {
    let StatementKind::Query(query) = parse(sql).unwrap().remove(0).kind else { panic!("{sql}") };
    let planned = plan(session, &query, Purpose::Run).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let state = match with_all_rules {
        true => planned.state.clone(),
        false => with_needed_rules(planned.state.clone()),
    };
    let physical = state.create_physical_plan(&planned.plan).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let batches = collect(physical, state.task_ctx()).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in &batches {
        let columns: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        let text = |row: usize| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>();
        rows.extend((0..batch.num_rows()).map(|row| text(row).join("|")));
    }
    rows.sort();
    rows
}

/// The state with the needed rules alone.
pub(super) fn with_needed_rules(state: SessionState) -> SessionState {
    let needed = |rule: &Arc<dyn OptimizerRule + Send + Sync>| NEEDED.contains(&rule.name());
    let rules = Optimizer::new().rules.into_iter().filter(needed).collect();
    SessionStateBuilder::new_from_existing(state).with_optimizer_rules(rules).build()
}

/// The program plans on a thread with a large stack (`src/cli/mod.rs`).
const STACK_BYTES: usize = 256 << 20;

#[test]
fn the_optimizer_changes_no_row() {
    let compare = || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.enable_all().thread_stack_size(STACK_BYTES).build().unwrap().block_on(compare_all());
    };
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(compare).unwrap().join().unwrap();
}

async fn compare_all() {
    let session = session().await;
    for inner in INNER {
        for outer in OUTER {
            let sql = written(outer, inner);
            assert_eq!(rows(&session, &sql, true).await, rows(&session, &sql, false).await, "{sql}");
        }
    }
}

#[test]
fn every_needed_rule_exists() {
    let rules = Optimizer::new().rules;
    for name in NEEDED {
        assert!(rules.iter().any(|rule| rule.name() == name), "{name}");
    }
}
