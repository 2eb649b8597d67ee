//! Methods that `async_trait` would make, for tables and planners of DataFusion.
//!
//! `async_trait` puts conditions on lifetimes into its methods. rustc then proves again for each of them that the future is
//! `Send`, through all types of expressions and plans, which takes seconds a method. A future that is made in a function
//! without such conditions is proved once for all (<https://github.com/apache/datafusion/pull/24325>). The signatures here are
//! those of `async_trait`.

use std::pin::Pin;

/// The future that `async_trait` makes.
pub type Planned<'a, T> = Pin<Box<dyn Future<Output = datafusion::error::Result<T>> + Send + 'a>>;

/// `TableProvider::scan` by a method `plan` with the same arguments that waits for nothing, or, with `waits`, by one without
/// the filters that returns a [`Planned`] future.
#[macro_export]
macro_rules! scan_by_plan {
    () => {
        $crate::scan_by_plan!(@scan table, state, projection, filters, limit,
            Box::pin(std::future::ready(table.plan(state, projection, filters, limit))));
    };
    (waits) => {
        $crate::scan_by_plan!(@scan table, state, projection, _filters, limit, table.plan(state, projection, limit));
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
