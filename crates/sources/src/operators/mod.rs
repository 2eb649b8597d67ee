//! Operators that DataFusion does not have: isolation of bad records, DISTINCT over a stream, and expectations.
//!
//! The chain of filters and projections above a scan becomes one node: [`RecordsNode`] in the logical plan, [`RecordsExec`] in
//! the physical plan. It runs the same expressions on the same batches. If they fail on a batch, it halves the batch until it has
//! found the records that fail alone. It sends these to the rejects and continues with the others. It keeps the batch as it was
//! scanned, so it can find the record of every row. Therefore it also checks expectations, and finds duplicates and late rows.
//!
//! - `cooperate`: lets a signal stop a statement with joins;
//! - [`marker`]: nodes that mark DISTINCT, event time and expectations while the plan is optimized;
//! - [`node`] and `planner`: the chain in the logical plan, and its translation to the physical plan;
//! - `steps`, `isolate`, `exec`: how the chain runs;
//! - [`expectation`]: the rules that rows are checked with;
//! - [`seen`], with `entries`, `seen_table`, `row_hash`, `seen_file` and [`seen_pieces`]: the state of DISTINCT over a stream.
//!
//! Deliberately absent: the rewriting of plans, which belongs to the statement (`statement::query::rowwise`), and other state
//! than that of DISTINCT.

mod cooperate;
mod entries;
mod exec;
pub mod expectation;
mod isolate;
pub mod marker;
pub mod node;
mod planner;
mod row_hash;
pub mod seen;
mod seen_file;
pub mod seen_pieces;
mod seen_table;
mod steps;

pub use self::cooperate::CooperativeJoins;
pub use self::exec::{
    EXPECTATION_FAILED, EXPECTATION_PASSED, RECORDS_AHEAD, RECORDS_DUPLICATE, RECORDS_FILTERED, RECORDS_LATE,
    RecordsExec,
};
pub use self::expectation::{OnViolation, Rule};
pub use self::node::RecordsNode;
pub use self::planner::Planner;
pub use self::row_hash::refuse_unhashable;
pub use self::seen::{SeenRows, StateOptions};
pub use self::seen_pieces::{Loading, Snapshot};
