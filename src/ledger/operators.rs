//! The rule of the ledger for each physical operator of DataFusion.
//!
//! A rule says what it means if an operator returns fewer rows than it reads. An operator without a rule may do anything with
//! rows, so the ledger guarantees no sum for its plan, and names it.

use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;

/// The meaning of the difference between the rows that an operator reads and the rows that it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// The difference is duplicates.
    Distinct,
    /// The difference is rows that the query does not want.
    Filters,
    /// There is no difference.
    KeepsRows,
    /// The rows returned are not the rows read, so there is nothing to compare.
    Combines,
    /// The ledger has no rule.
    Unknown,
}

/// The rule of an operator that has inputs.
pub(super) fn rule(plan: &Arc<dyn ExecutionPlan>) -> Rule {
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        let is_distinct = aggregate.aggr_expr().is_empty() && aggregate.group_expr().is_single();
        return if is_distinct { Rule::Distinct } else { Rule::Combines };
    }
    rule_of_name(plan.name())
}

fn rule_of_name(name: &str) -> Rule {
    match name {
        // Ours: it counts the levels of a recursive query, below RecursiveQueryExec.
        "LevelsExec" => Rule::KeepsRows,
        name if FILTERING.contains(&name) => Rule::Filters,
        name if ROW_KEEPING.contains(&name) => Rule::KeepsRows,
        name if COMBINING.contains(&name) => Rule::Combines,
        _ => Rule::Unknown,
    }
}

const FILTERING: [&str; 3] = ["FilterExec", "GlobalLimitExec", "LocalLimitExec"];

/// Operators that return all the rows they read, and no others.
const ROW_KEEPING: [&str; 16] = [
    "BoundedWindowAggExec",
    "BufferExec",
    "CoalesceBatchesExec",
    "CoalescePartitionsExec",
    "CooperativeExec",
    "InterleaveExec",
    "OutputRequirementExec",
    "PartialSortExec",
    "ProjectionExec",
    "RepartitionExec",
    "SortExec",
    "SortExec(TopK)",
    "SortPreservingMergeExec",
    "UnionExec",
    "WindowAggExec",
    // The name of AsyncFuncExec.
    "async_func",
];

/// Operators that return new rows. PartitionedTopKExec only drops rows, but its metrics do not guarantee a count.
const COMBINING: [&str; 13] = [
    "AnalyzeExec",
    "CrossJoinExec",
    "DataSinkExec",
    "DmlResultExec",
    "HashJoinExec",
    "NestedLoopJoinExec",
    "PartitionedTopKExec",
    "PiecewiseMergeJoinExec",
    "RecursiveQueryExec",
    "ScalarSubqueryExec",
    "SortMergeJoinExec",
    "SymmetricHashJoinExec",
    "UnnestExec",
];

#[cfg(test)]
mod tests {
    use datafusion::DATAFUSION_VERSION;

    use super::*;

    /// Operators of DataFusion 55 without inputs. They need no rule.
    const LEAVES: [&str; 7] = [
        "DataSourceExec",
        "EmptyExec",
        "ExplainExec",
        "LazyMemoryExec",
        "PlaceholderRowExec",
        "StreamingTableExec",
        "WorkTableExec",
    ];

    /// All operators of DataFusion 55, by `ExecutionPlan::name`: each `impl ExecutionPlan for` in its crates outside tests.
    const OPERATORS: [&str; 40] = [
        "AggregateExec",
        "AnalyzeExec",
        "BoundedWindowAggExec",
        "BufferExec",
        "CoalesceBatchesExec",
        "CoalescePartitionsExec",
        "CooperativeExec",
        "CrossJoinExec",
        "DataSinkExec",
        "DataSourceExec",
        "DmlResultExec",
        "EmptyExec",
        "ExplainExec",
        "FilterExec",
        "GlobalLimitExec",
        "HashJoinExec",
        "InterleaveExec",
        "LazyMemoryExec",
        "LocalLimitExec",
        "NestedLoopJoinExec",
        "OutputRequirementExec",
        "PartialSortExec",
        "PartitionedTopKExec",
        "PiecewiseMergeJoinExec",
        "PlaceholderRowExec",
        "ProjectionExec",
        "RecursiveQueryExec",
        "RepartitionExec",
        "ScalarSubqueryExec",
        "SortExec",
        "SortExec(TopK)",
        "SortMergeJoinExec",
        "SortPreservingMergeExec",
        "StreamingTableExec",
        "SymmetricHashJoinExec",
        "UnionExec",
        "UnnestExec",
        "WindowAggExec",
        "WorkTableExec",
        "async_func",
    ];

    #[test]
    fn every_operator_of_datafusion_has_a_rule() {
        assert!(
            DATAFUSION_VERSION.starts_with("55."),
            "compare `OPERATORS` with each `impl ExecutionPlan for` in the crates of DataFusion {DATAFUSION_VERSION}, \
             give each new operator a rule, and then change the version in this test"
        );
        for name in OPERATORS {
            let needs_rule = !LEAVES.contains(&name) && name != "AggregateExec";
            assert_eq!(rule_of_name(name) != Rule::Unknown, needs_rule, "{name}");
        }
        for name in FILTERING.iter().chain(&ROW_KEEPING).chain(&COMBINING) {
            assert!(OPERATORS.contains(name), "DataFusion has no operator {name}");
        }
        assert_eq!(rule_of_name("FooExec"), Rule::Unknown);
    }
}
