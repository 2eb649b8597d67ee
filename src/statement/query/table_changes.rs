//! `table_changes('table', start [, end])`: the changed rows of a table between two versions
//! (<https://docs.databricks.com/en/sql/language-manual/functions/table_changes.html>).

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::SessionState;

use super::Purpose;
use super::table_function_calls::text;
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_delta::{AsOf, ChangeRange, changes, changes_schema};

pub(super) const TABLE_CHANGES: &str = "table_changes";

const ARGUMENTS: [&str; 3] = ["table", "start", "end"];
const USAGE: &str = "table_changes('table', start [, end]), where start and end are versions or timestamps";

/// The name of the argument at a position.
pub(super) fn argument_name(position: usize) -> Result<&'static str> {
    let name = ARGUMENTS.get(position).copied();
    name.ok_or_else(|| {
        Error::new(ErrorCode::WrongNumArgs, "table_changes takes a table, a start and an end").with_hint(USAGE)
    })
}

/// Opens the changes. A check opens an empty relation with the same columns.
pub(super) async fn open(
    session: &Session,
    state: &SessionState,
    arguments: &BTreeMap<String, ScalarValue>,
    purpose: Purpose<'_>,
) -> Result<Arc<dyn TableProvider>> {
    if let Some(unknown) = arguments.keys().find(|name| !ARGUMENTS.contains(&name.as_str())) {
        return Err(
            Error::new(ErrorCode::WrongNumArgs, format!("table_changes has no argument `{unknown}`")).with_hint(USAGE)
        );
    }
    let missing =
        |what: &str| Error::new(ErrorCode::WrongNumArgs, format!("table_changes needs {what}")).with_hint(USAGE);
    let named = arguments.get(ARGUMENTS[0]).and_then(text).ok_or_else(|| missing("the name of a table"))?;
    let parts: Vec<&str> = named.split('.').map(|part| part.trim_matches('`')).collect();
    let name = session.table_name(&parts)?;
    let bound = |argument: &str| arguments.get(argument).map(|value| bound(state, argument, value)).transpose();
    let start = bound(ARGUMENTS[1])?.ok_or_else(|| missing("a start"))?;
    let range = ChangeRange { start, end: bound(ARGUMENTS[2])? };
    if matches!(purpose, Purpose::Check) {
        // The file that is checked may create the table.
        let columns = session.open_table(&name).await?.schema();
        return Ok(Arc::new(EmptyTable::new(Arc::new(changes_schema(&columns)))));
    }
    let (location, table) = session.warehouse().open_table(&name).await?;
    changes(&location, &table, range).await
}

/// A number is a version. A timestamp, a date or a string is a point in time.
fn bound(state: &SessionState, argument: &str, value: &ScalarValue) -> Result<AsOf> {
    let wrong = || {
        Error::new(ErrorCode::InvalidTableVersion, format!("the {argument} of table_changes cannot be {value}"))
            .with_hint(USAGE)
    };
    if value.is_null() {
        return Err(wrong());
    }
    if value.data_type().is_integer() {
        return match value.cast_to(&arrow::datatypes::DataType::Int64) {
            Ok(ScalarValue::Int64(Some(version))) => u64::try_from(version).map(AsOf::Version).map_err(|_| wrong()),
            _ => Err(wrong()),
        };
    }
    let literal = match text(value) {
        Some(text) => sqlparser::ast::Value::SingleQuotedString(text),
        None if value.data_type().is_temporal() => {
            let as_text = value.cast_to(&arrow::datatypes::DataType::Utf8).ok().and_then(|value| text(&value));
            sqlparser::ast::Value::SingleQuotedString(as_text.ok_or_else(wrong)?)
        }
        None => return Err(wrong()),
    };
    super::time_travel::moment(state, &sqlparser::ast::Expr::Value(literal.into())).map(AsOf::Timestamp)
}
