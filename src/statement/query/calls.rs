//! The calls of table functions in a query: where they stand, and what their arguments come to.
//!
//! A call is taken out of the query and leaves a name; `relations` opens what it stands for.

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

use super::changes::{self, TABLE_CHANGES};
use super::relations::{CALLS_SCHEMA, TABLE_FUNCTIONS};
use super::streaming::{STREAM_PREFIX, Watermark};
use crate::statement::parser::{STREAM_DELAY, STREAM_MARKER, STREAM_WATERMARK};
use pinsql_base::error::{Error, ErrorCode, ErrorKind, Result, Span};
use pinsql_sources::objects::METADATA_COLUMN;

/// A call of one of our table functions, and the name its relation goes by.
pub(super) struct Call {
    pub(super) function: String,
    pub(super) relation: String,
    pub(super) arguments: Vec<FunctionArg>,
    pub(super) span: Span,
    pub(super) is_stream: bool,
}

/// What a call of a table function that is not ours asks too much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misuse {
    Stream,
    NamedArgument,
}

/// Finds the calls, puts a name in the place of each, folds the names of relations, and notes where every one stands.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) found: Vec<Call>,
    /// Table functions that are DataFusion's own.
    pub(super) other_functions: HashSet<String>,
    /// Such a call that DataFusion would refuse in words that mean nothing: it is a stream, or names its arguments.
    pub(super) unplannable: Option<(String, Span, Misuse)>,
    pub(super) relation_spans: HashMap<String, Span>,
    /// Whether the query names the `_metadata` column anywhere.
    pub(super) names_metadata: bool,
}

impl VisitorMut for Calls {
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

/// The arguments of a call, evaluated: all of them are constants.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    /// The one that may be given by position.
    pub(super) path: Option<String>,
    /// By name as written.
    pub(super) options: BTreeMap<String, ScalarValue>,
    pub(super) watermark: Option<Watermark>,
}

impl Call {
    pub(super) fn evaluate(&self, state: &SessionState) -> Result<Arguments> {
        let mut arguments = Arguments::default();
        let (mut column, mut lateness) = (None, None);
        for (position, argument) in self.arguments.iter().enumerate() {
            let (name, value) = match argument {
                FunctionArg::Unnamed(value) if position == 0 && self.function == "read_files" => {
                    ("path".to_owned(), value)
                }
                FunctionArg::Unnamed(value) if self.function == TABLE_CHANGES => {
                    (changes::argument_name(position).map_err(|error| error.at(argument.span()))?.to_owned(), value)
                }
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
        arguments.watermark = column.zip(lateness).map(|((column, span), delay)| Watermark { column, delay, span });
        Ok(arguments)
    }
}

/// How late a record may be. Months have no length.
fn delay(interval: &ScalarValue) -> Result<Duration> {
    let wrong = || {
        Error::new(ErrorCode::InvalidParameterValue, "the delay of a watermark is a span of time that is not negative")
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

/// The value of an expression that reads no table.
pub(in crate::statement) fn constant(state: &SessionState, expr: &Expr) -> Result<ScalarValue> {
    let evaluate = || -> Result<ScalarValue> {
        let aliased = ExprWithAlias { expr: expr.clone(), alias: None };
        let schema = DFSchema::empty();
        let logical = state.create_logical_expr_from_sql_expr(aliased, &schema)?;
        // What depends on the moment of the statement, such as current_timestamp(), gets its value here.
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

/// The text of a string constant; `None` for NULL and for anything else.
pub(super) fn text(value: &ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => text.clone(),
        _ => None,
    }
}
