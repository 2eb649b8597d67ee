//! Random queries: nothing panics, nothing is an internal error, nothing hangs, the optimizer changes no row, and the rows are
//! those of Spark.
//!
//! A query depends on its seed alone. `PINSQL_TEST_RANDOM=first..end` runs other seeds than the default, and
//! `PINSQL_TEST_RANDOM_REPORT=path` writes what happened to each query.

#[path = "../../../../tests/slt/cells.rs"]
#[expect(dead_code, reason = "the sqllogictest files also mark types and errors")]
mod cells;
mod draw;
mod expressions;
mod functions;
mod queries;
mod relations;
mod run;
mod spark_answers;
mod tables;

use std::any::Any;
use std::fmt::Write as _;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use self::draw::Draw;
use self::expressions::Generator;
use self::run::{Database, Ended};

/// The program plans on a thread with a large stack (`src/cli/mod.rs`).
const STACK_BYTES: usize = 256 << 20;

const SEEDS: Range<u64> = 0..1000;
const HANGS_AFTER: Duration = Duration::from_secs(10);

/// The query of a seed.
fn query(seed: u64) -> String {
    Generator { draw: Draw::new(seed), names: 0, shared: Vec::new() }.statement()
}

fn seeds() -> Range<u64> {
    let Some(given) = std::env::var_os("PINSQL_TEST_RANDOM") else { return SEEDS };
    let (first, end) = given.to_str().and_then(|range| range.split_once("..")).expect("first..end");
    first.parse().unwrap()..end.parse().unwrap()
}

#[test]
fn random_queries_find_no_fault() {
    let ended = each(seeds(), async |database: &Database, seed| {
        let ended = database.answer(&query(seed), true).await;
        match ended.answer() {
            Some(answer) if seed.is_multiple_of(10) => database.compared_with_plain(answer, &query(seed)).await,
            _ => ended,
        }
    });
    writing_report(&ended, query);
    let fault = |(seed, result): &(u64, Ended)| Some(format!("seed {seed}: {}\n{}", result.fault()?, query(*seed)));
    let faults: Vec<String> = ended.iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n\n"));
}

/// Runs `work` for each number, on all processors. A panic ends the work of one number.
fn each(numbers: Range<u64>, work: impl AsyncFn(&Database, u64) -> Ended + Sync) -> Vec<(u64, Ended)> {
    let (next, ended) = (AtomicU64::new(numbers.start), Mutex::new(Vec::new()));
    let run = || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.enable_all().worker_threads(2).thread_stack_size(STACK_BYTES).build().unwrap();
        let database = runtime.block_on(Database::open());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= numbers.end {
                return;
            }
            let limited = async { tokio::time::timeout(HANGS_AFTER, work(&database, number)).await };
            let result = catch_unwind(AssertUnwindSafe(|| runtime.block_on(limited)));
            let result = match result {
                Ok(ended) => ended.unwrap_or(Ended::Hung),
                Err(panic) => Ended::Panicked(panic_text(panic.as_ref())),
            };
            ended.lock().unwrap().push((number, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().unwrap().get() {
            std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, run).unwrap();
        }
    });
    let mut ended = ended.into_inner().unwrap();
    ended.sort_by_key(|(number, _)| *number);
    ended
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

fn writing_report(ended: &[(u64, Ended)], query: impl Fn(u64) -> String) {
    let Some(path) = std::env::var_os("PINSQL_TEST_RANDOM_REPORT") else { return };
    let mut text = String::new();
    for (number, result) in ended {
        writeln!(text, "{number}\t{}\t{}", result.summary(), query(*number)).unwrap();
    }
    std::fs::write(path, text).unwrap();
}
