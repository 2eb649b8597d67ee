//! The calls of table functions in a query, and the values of their arguments.
//!
//! A call leaves the query, and a name takes its place. `relations` opens the relation under this name.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::ColumnarValue;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use sqlparser::ast::{
    Expr, ExprWithAlias, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, Query, Spanned, TableAlias,
    TableFactor, VisitorMut,
};

use super::relations::{CALLS_SCHEMA, TABLE_FUNCTIONS};
use super::streaming::{AHEAD_MAX_DEFAULT, STREAM_PREFIX, Watermark};
use super::table_changes::{self, TABLE_CHANGES};
use crate::statement::parser::{STREAM_DELAY, STREAM_MARKER, STREAM_WATERMARK};
use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, ErrorKind, Result, Span};
use pinsql_base::units;
use pinsql_sources::objects::METADATA_COLUMN;

/// A call of a table function of pinsql, and the name of its relation.
pub(super) struct Call {
    pub(super) function: String,
    pub(super) relation: String,
    pub(super) arguments: Vec<FunctionArg>,
    pub(super) span: Span,
    pub(super) is_stream: bool,
}

/// A form that table functions of DataFusion do not support.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misuse {
    Stream,
    NamedArgument,
}

/// The calls of a query. The visitor replaces each by a name, folds the names of relations to lower case, and notes their places.
#[derive(Default)]
pub(super) struct TableFunctionCalls {
    pub(super) found: Vec<Call>,
    /// The names of called table functions of DataFusion.
    pub(super) other_functions: HashSet<String>,
    /// A call of those with STREAM or with named arguments. The message of DataFusion for these would not help.
    pub(super) unplannable: Option<(String, Span, Misuse)>,
    pub(super) relation_spans: HashMap<String, Span>,
    /// True if the query names the `_metadata` column.
    pub(super) names_metadata: bool,
}

/// Takes the calls out of `query`.
pub(super) fn take(query: &mut Query) -> TableFunctionCalls {
    let mut calls = TableFunctionCalls::default();
    // Infallible: the visitor never stops.
    let _ = walk::rewrite(query, &mut calls);
    calls
}

impl VisitorMut for TableFunctionCalls {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for cte in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            cte.alias.name.value = cte.alias.name.value.to_lowercase();
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        for part in &mut relation.0 {
            if let ObjectNamePart::Identifier(ident) = part {
                ident.value = ident.value.to_lowercase();
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias, args, .. } = factor else { return ControlFlow::Continue(()) };
        let span = Span::from(name.span());
        let written = name.to_string().replace('`', "");
        self.relation_spans.insert(written.to_lowercase(), span);
        self.relation_spans.insert(written.clone(), span);
        let function = written.to_lowercase();
        if let Some(arguments) = args
            && !TABLE_FUNCTIONS.contains(&function.as_str())
        {
            let misuse = arguments.args.iter().filter_map(argument_name).map(|name| match name {
                STREAM_MARKER => Misuse::Stream,
                _ => Misuse::NamedArgument,
            });
            let misuse = misuse.max_by_key(|misuse| *misuse == Misuse::Stream);
            self.unplannable = self.unplannable.take().or(misuse.map(|misuse| (function.clone(), span, misuse)));
            self.other_functions.insert(written);
            self.other_functions.insert(function);
        } else if let Some(arguments) = args.take() {
            let is_stream = arguments.args.iter().any(|argument| argument_name(argument) == Some(STREAM_MARKER));
            let prefix = if is_stream { STREAM_PREFIX } else { "" };
            let relation = match self.found.len() {
                0 => format!("{prefix}{function}"),
                count => format!("{prefix}{function}_{}", count + 1),
            };
            let part = |value: &str| ObjectNamePart::Identifier(Ident::with_quote('`', value));
            *name = ObjectName(vec![part(CALLS_SCHEMA), part(&relation)]);
            alias.get_or_insert_with(|| TableAlias {
                explicit: true,
                name: Ident::new(&function),
                columns: Vec::new(),
                at: None,
            });
            self.found.push(Call { function, relation, arguments: arguments.args, span, is_stream });
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let is_metadata = |ident: &Ident| ident.value.eq_ignore_ascii_case(METADATA_COLUMN);
        self.names_metadata |= match expr {
            Expr::Identifier(ident) => is_metadata(ident),
            Expr::CompoundIdentifier(idents) => idents.iter().any(is_metadata),
            _ => false,
        };
        ControlFlow::Continue(())
    }
}

/// The evaluated arguments of a call. All are constants.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    /// The argument that can be given by position.
    pub(super) path: Option<String>,
    /// The others, by name as written.
    pub(super) options: BTreeMap<String, ScalarValue>,
    pub(super) watermark: Option<Watermark>,
}

impl Call {
    pub(super) fn evaluate(&self, state: &SessionState) -> Result<Arguments> {
        let mut arguments = Arguments::default();
        let (mut column, mut lateness, mut ahead) = (None, None, None);
        for (position, argument) in self.arguments.iter().enumerate() {
            let (name, value) = match argument {
                FunctionArg::Unnamed(value) if position == 0 && self.function == "read_files" => {
                    ("path".to_owned(), value)
                }
                FunctionArg::Unnamed(value) if self.function == TABLE_CHANGES => (
                    table_changes::argument_name(position).map_err(|error| error.at(argument.span()))?.to_owned(),
                    value,
                ),
                FunctionArg::Named { name, arg, .. } => (name.value.clone(), arg),
                other => {
                    return Err(Error::new(
                        ErrorCode::WrongNumArgs,
                        format!("the argument {other} of {} needs a name", self.function),
                    )
                    .at(other.span())
                    .with_hint("options are given as name => value"));
                }
            };
            let FunctionArgExpr::Expr(expr) = value else {
                return Err(Error::new(ErrorCode::InvalidOption, format!("{value} is not a value for `{name}`"))
                    .at(value.span()));
            };
            let constant = constant(state, expr)?;
            match name.as_str() {
                STREAM_MARKER => {}
                STREAM_WATERMARK => column = text(&constant).zip(Some(Span::from(expr.span()))),
                STREAM_DELAY => lateness = Some(delay(&constant).map_err(|error| error.at(expr.span()))?),
                _ if name.eq_ignore_ascii_case(AHEAD_OPTION) && self.is_stream => {
                    ahead = Some((ahead_max(&constant).map_err(|error| error.at(expr.span()))?, expr.span()));
                }
                _ if name.eq_ignore_ascii_case("path") && self.function == "read_files" => {
                    let path = text(&constant).ok_or_else(|| {
                        Error::new(ErrorCode::InvalidOption, "the path of read_files must be a string, not NULL")
                            .at(expr.span())
                    })?;
                    arguments.path = Some(path);
                }
                _ => {
                    if arguments.options.insert(name.clone(), constant).is_some() {
                        return Err(Error::new(
                            ErrorCode::InvalidOption,
                            format!("the option `{name}` is given twice"),
                        )
                        .at(argument.span()));
                    }
                }
            }
        }
        let ahead_max = ahead.map_or(AHEAD_MAX_DEFAULT, |(ahead_max, _)| ahead_max);
        let watermark = |((column, span), delay)| Watermark { column, delay, ahead_max, span };
        arguments.watermark = column.zip(lateness).map(watermark);
        match ahead {
            Some((_, span)) if arguments.watermark.is_none() => {
                Err(Error::new(ErrorCode::InvalidOption, format!("the option `{AHEAD_OPTION}` needs a WATERMARK"))
                    .at(span)
                    .with_hint("write FROM STREAM …(…) WATERMARK column DELAY OF INTERVAL 10 MINUTES"))
            }
            _ => Ok(arguments),
        }
    }
}

/// The option with [`Watermark::ahead_max`], for all sources.
const AHEAD_OPTION: &str = "watermarkMaxAhead";

fn ahead_max(value: &ScalarValue) -> Result<Duration> {
    let wrong = || {
        Error::new(ErrorCode::InvalidOption, format!("`{AHEAD_OPTION}` must be a time such as '30s', '10m' or '24h'"))
    };
    text(value).and_then(|text| units::duration(&text)).ok_or_else(wrong)
}

/// The delay of a watermark. Months are refused, because their length varies.
fn delay(interval: &ScalarValue) -> Result<Duration> {
    let wrong = || {
        Error::new(
            ErrorCode::InvalidParameterValue,
            "the delay of a watermark must be an interval that is not negative",
        )
        .with_hint("for example INTERVAL 10 MINUTES")
    };
    let ScalarValue::IntervalMonthDayNano(Some(delay)) = interval else { return Err(wrong()) };
    let delay_us = i64::from(delay.days) * 86_400_000_000 + delay.nanoseconds / 1_000;
    match u64::try_from(delay_us) {
        Ok(delay_us) if delay.months == 0 => Ok(Duration::from_micros(delay_us)),
        _ => Err(wrong()),
    }
}

fn argument_name(argument: &FunctionArg) -> Option<&str> {
    match argument {
        FunctionArg::Named { name, .. } => Some(&name.value),
        _ => None,
    }
}

/// Evaluates an expression that reads no column.
///
/// Errors: the expression is not valid, or it names a column.
pub(in crate::statement) fn constant(state: &SessionState, expr: &Expr) -> Result<ScalarValue> {
    let evaluate = || -> Result<ScalarValue> {
        let aliased = ExprWithAlias { expr: expr.clone(), alias: None };
        let schema = DFSchema::empty();
        let logical = state.create_logical_expr_from_sql_expr(aliased, &schema)?;
        // The simplifier replaces current_timestamp() and similar functions by the time of the statement.
        let context = SimplifyContext::builder()
            .with_schema(Arc::new(schema.clone()))
            .with_config_options(Arc::clone(state.config_options()))
            .with_query_execution_start_time(state.execution_props().query_execution_start_time)
            .build();
        let simplifier = ExprSimplifier::new(context);
        let logical = simplifier.simplify(simplifier.coerce(logical, &schema)?)?;
        let physical = state.create_physical_expr(logical, &schema)?;
        let row = RecordBatch::try_new_with_options(
            Arc::new(Schema::empty()),
            Vec::new(),
            &RecordBatchOptions::new().with_row_count(Some(1)),
        )
        .map_err(datafusion::error::DataFusionError::from)?;
        Ok(match physical.evaluate(&row)? {
            ColumnarValue::Scalar(value) => value,
            ColumnarValue::Array(array) => ScalarValue::try_from_array(&array, 0)?,
        })
    };
    evaluate().map_err(|error| {
        let error = error.at(expr.span());
        match error.hint {
            Some(_) if error.kind() != ErrorKind::Sql => error,
            _ => error.with_hint("this must be a constant: literals, parameters and functions of them"),
        }
    })
}

/// The text of a string constant. None for NULL and for other types.
pub(super) fn text(value: &ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => text.clone(),
        _ => None,
    }
}
