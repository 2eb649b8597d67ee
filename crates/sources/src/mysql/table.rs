//! The table of one call of `read_mysql`, and its pushdown of columns, conditions and LIMIT.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::filter::{self, PARAMETERS_MAX};
use super::options::Options;
use super::request::{Condition, Request};
use super::scan::{MysqlSource, Scan};
use super::types::{SourceColumn, schema};

#[derive(Debug)]
pub(super) struct MysqlTable {
    options: Arc<Options>,
    columns: Vec<SourceColumn>,
    schema: SchemaRef,
}

impl MysqlTable {
    pub(super) fn new(options: Options, columns: Vec<SourceColumn>) -> Self {
        let schema = Arc::new(schema(&columns));
        Self { options: Arc::new(options), columns, schema }
    }
}

impl TableProvider for MysqlTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let mut parameters = 0;
        let support = |filter: &&Expr| {
            let Some(condition) = filter::condition(filter, &self.columns) else {
                return TableProviderFilterPushDown::Unsupported;
            };
            parameters += condition.parameters.len();
            match condition.is_exact {
                _ if parameters > PARAMETERS_MAX => TableProviderFilterPushDown::Unsupported,
                true => TableProviderFilterPushDown::Exact,
                false => TableProviderFilterPushDown::Inexact,
            }
        };
        Ok(filters.iter().map(support).collect())
    }

    pinsql_base::scan_by_plan!();
}

impl MysqlTable {
    /// [`TableProvider::scan`], which does not wait for anything here.
    fn plan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.columns.len()).collect();
        let indices: Vec<usize> = projection.cloned().unwrap_or_else(all);
        let columns: Vec<SourceColumn> = indices.iter().filter_map(|index| self.columns.get(*index).cloned()).collect();
        // DataFusion removed the filters that were reported as exact, so none may be lost here.
        let conditions = filters
            .iter()
            .map(|filter| filter::condition(filter, &self.columns))
            .collect::<Option<Vec<Condition>>>()
            .ok_or_else(|| DataFusionError::Internal("a pushed filter cannot be translated to MySQL".to_owned()))?;
        let request = Request {
            relation: self.options.relation.clone(),
            columns: columns.iter().map(|column| column.name.clone()).collect(),
            conditions,
            rows_max: limit,
        };
        let scan = Scan {
            options: self.options.clone(),
            request,
            columns,
            schema: Arc::new(self.schema.project(&indices)?),
            batch_rows_max: state.config().batch_size(),
        };
        Ok(DataSourceExec::from_data_source(MysqlSource::new(scan)))
    }
}
