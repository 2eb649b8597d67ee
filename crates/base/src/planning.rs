//! Methods of DataFusion's traits for tables and planners, written without `async_trait`.
//!
//! `async_trait` adds lifetime bounds to its methods. For each method, rustc then proves again that the future is `Send`,
//! through all types of expressions and plans. This takes seconds per method. For a function without such bounds, rustc has one
//! proof for all (<https://github.com/apache/datafusion/pull/24325>). The signatures here are those that `async_trait`
//! generates.

use std::pin::Pin;

/// The return type that `async_trait` generates.
pub type Planned<'a, T> = Pin<Box<dyn Future<Output = datafusion::error::Result<T>> + Send + 'a>>;

/// Implements `TableProvider::scan` by a method `plan`. Without an argument, `plan` has the same parameters and is not async.
/// With `waits`, it returns a [`Planned`] future.
#[macro_export]
macro_rules! scan_by_plan {
    () => {
        $crate::scan_by_plan!(@scan table, state, projection, filters, limit,
            Box::pin(std::future::ready(table.plan(state, projection, filters, limit))));
    };
    (waits) => {
        $crate::scan_by_plan!(@scan table, state, projection, filters, limit,
            table.plan(state, projection, filters, limit));
    };
    (@scan $table:ident, $state:ident, $projection:ident, $filters:ident, $limit:ident, $planned:expr) => {
        fn scan<'life0, 'life1, 'life2, 'life3, 'async_trait>(
            &'life0 self,
            $state: &'life1 dyn datafusion::catalog::Session,
            $projection: Option<&'life2 Vec<usize>>,
            $filters: &'life3 [datafusion::logical_expr::Expr],
            $limit: Option<usize>,
        ) -> $crate::planning::Planned<'async_trait, std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>>
        where
            'life0: 'async_trait,
            'life1: 'async_trait,
            'life2: 'async_trait,
            'life3: 'async_trait,
            Self: 'async_trait,
        {
            let $table = self;
            $planned
        }
    };
}
