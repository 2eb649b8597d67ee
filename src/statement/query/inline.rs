//! Inlines the bodies of SQL functions and the values of variables in a plan.
//!
//! This happens in the plan and not in the AST, because in the plan every name is resolved: an argument `x` stays the column of
//! the caller, whatever columns the body reads. An argument is cast to the type of its parameter. It is evaluated at each use of
//! the parameter, so an argument whose value changes, such as rand(), can be used only once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DataFusionError, Result as EngineResult, internal_err, plan_err};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDFImpl, Signature, Subquery, Volatility,
};

use pinsql_base::engine_error::{counted, external};
use pinsql_base::error::{Error, ErrorCode};

/// The largest number of nodes of an inlined call. Functions that use a parameter twice and call each other grow exponentially.
const NODES_MAX: usize = 50_000;

/// A placeholder for a SQL function while its calls are planned. It has types and cannot run.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Placeholder {
    name: String,
    signature: Signature,
    parameters: Vec<DataType>,
    result: DataType,
}

impl Placeholder {
    pub(super) fn new(name: &str, parameters: Vec<DataType>, result: DataType) -> Self {
        let signature = Signature::user_defined(Volatility::Immutable);
        Self { name: name.to_owned(), signature, parameters, result }
    }
}

impl ScalarUDFImpl for Placeholder {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> EngineResult<Vec<DataType>> {
        match types.len() == self.parameters.len() {
            true => Ok(self.parameters.clone()),
            false => plan_err!("{} takes {}", self.name, counted(self.parameters.len(), "argument")),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> EngineResult<DataType> {
        Ok(self.result.clone())
    }

    fn invoke_with_args(&self, _call: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        internal_err!("a call of {} was left in a plan", self.name)
    }
}

/// The body of a scalar function.
#[derive(Debug)]
pub(super) struct Body {
    /// The name that users see.
    pub(super) name: String,
    pub(super) parameters: Vec<(Column, DataType)>,
    pub(super) expression: Expr,
}

/// The bodies of the functions that a query calls, by the names of their placeholders.
#[derive(Debug, Default)]
pub(super) struct Bodies(pub(super) HashMap<String, Body>);

impl Bodies {
    /// Replaces all calls in `plan`, also in its subqueries, by the bodies.
    pub(super) fn put_in(&self, plan: LogicalPlan) -> EngineResult<LogicalPlan> {
        if self.0.is_empty() {
            return Ok(plan);
        }
        Ok(plan
            .transform_up_with_subqueries(|node| map_expressions(node, |expr, schema| self.calls(expr, schema)))?
            .data)
    }

    fn calls(&self, expr: Expr, schema: &DFSchema) -> EngineResult<Transformed<Expr>> {
        expr.transform_up(|expr| {
            let Expr::ScalarFunction(call) = &expr else { return Ok(Transformed::no(expr)) };
            let Some(body) = self.0.get(call.func.name()) else { return Ok(Transformed::no(expr)) };
            body.called(&call.args, schema).map(Transformed::yes)
        })
    }
}

impl Body {
    fn called(&self, arguments: &[Expr], schema: &DFSchema) -> EngineResult<Expr> {
        self.refuse_same_names(arguments)?;
        let mut values = Values::default();
        for ((parameter, data_type), argument) in self.parameters.iter().zip(arguments) {
            if argument.is_volatile() && uses(&self.expression, parameter)? > 1 {
                let name = &parameter.name;
                let said = format!(
                    "{} uses its parameter `{name}` more than once, and {argument} has a different value each time",
                    self.name
                );
                return Err(external(
                    Error::new(ErrorCode::InvalidExpression, said)
                        .with_hint("name the value in a subquery, and call the function with that"),
                ));
            }
            let value = cast(argument.clone(), data_type);
            values.inside.insert(parameter.clone(), outer(value.clone(), schema)?);
            values.here.insert(parameter.clone(), value);
        }
        let called = values.put_in_expression(self.expression.clone())?;
        if nodes(&called)? > NODES_MAX {
            let said = format!("a call of {} becomes an expression of more than {NODES_MAX} parts", self.name);
            return Err(external(Error::new(ErrorCode::StatementTooComplex, said)));
        }
        Ok(called)
    }
}

impl Body {
    /// DataFusion identifies a column by the name of its relation. If a subquery of the body reads a `t`, and an argument is a
    /// column of another `t` of the caller, DataFusion treats both as one column and returns a wrong result.
    fn refuse_same_names(&self, arguments: &[Expr]) -> EngineResult<()> {
        let read = columns_of_subqueries(&self.expression)?;
        if read.is_empty() {
            return Ok(());
        }
        for column in arguments.iter().flat_map(Expr::column_refs) {
            let is_same = |(relation, name): &(Option<String>, String)| match (&column.relation, relation) {
                (Some(of_caller), Some(of_body)) => of_caller.table() == of_body,
                _ => *name == column.name,
            };
            if read.iter().any(is_same) {
                let of = column.relation.as_ref().map_or(column.name.as_str(), |relation| relation.table());
                let said =
                    format!("{} receives a column of `{of}`, and also reads a relation with that name", self.name);
                let hint = "give the relation of the call another name: FROM … AS other";
                return Err(external(Error::new(ErrorCode::AmbiguousReference, said).with_hint(hint)));
            }
        }
        Ok(())
    }
}

/// The columns in the subqueries of an expression, each with its relation.
fn columns_of_subqueries(expr: &Expr) -> EngineResult<HashSet<(Option<String>, String)>> {
    let mut columns = HashSet::new();
    expr.apply(|expr| {
        if let Expr::ScalarSubquery(subquery)
        | Expr::Exists(Exists { subquery, .. })
        | Expr::InSubquery(InSubquery { subquery, .. })
        | Expr::SetComparison(SetComparison { subquery, .. }) = expr
        {
            subquery.subquery.apply_with_subqueries(|node| {
                let named = node.schema().iter().map(|(relation, field)| {
                    (relation.map(|relation| relation.table().to_owned()), field.name().clone())
                });
                columns.extend(named);
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(columns)
}

/// The values that replace columns: those of the expression itself, and those that its subqueries reference.
#[derive(Debug, Default)]
pub(super) struct Values {
    here: HashMap<Column, Expr>,
    inside: HashMap<Column, Expr>,
}

impl Values {
    /// Values for the outer columns of a subquery. The values reference no column.
    pub(super) fn of_outer(values: impl IntoIterator<Item = (Column, Expr)>) -> Self {
        Self { here: HashMap::new(), inside: values.into_iter().collect() }
    }

    /// Replaces the outer columns in the plan of a subquery.
    pub(super) fn put_in_subquery(&self, plan: LogicalPlan) -> EngineResult<LogicalPlan> {
        let put = |node: LogicalPlan| {
            map_expressions(node, |expr, _| {
                expr.transform_up(|expr| match &expr {
                    Expr::OuterReferenceColumn(_, column) => Ok(replaced(self.inside.get(column), expr)),
                    _ => self.put_in_subqueries(expr),
                })
            })
        };
        Ok(plan.transform_up(put)?.data)
    }

    fn put_in_expression(&self, expr: Expr) -> EngineResult<Expr> {
        let put = |expr: Expr| match &expr {
            Expr::Column(column) => Ok(replaced(self.here.get(column), expr)),
            _ => self.put_in_subqueries(expr),
        };
        Ok(expr.transform_up(put)?.data)
    }

    fn put_in_subqueries(&self, expr: Expr) -> EngineResult<Transformed<Expr>> {
        Ok(Transformed::yes(match expr {
            Expr::ScalarSubquery(subquery) => Expr::ScalarSubquery(self.subquery(subquery)?),
            Expr::Exists(Exists { subquery, negated }) => {
                Expr::Exists(Exists { subquery: self.subquery(subquery)?, negated })
            }
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                Expr::InSubquery(InSubquery { expr, subquery: self.subquery(subquery)?, negated })
            }
            Expr::SetComparison(comparison) => {
                let subquery = self.subquery(comparison.subquery)?;
                Expr::SetComparison(SetComparison { subquery, ..comparison })
            }
            other => return Ok(Transformed::no(other)),
        }))
    }

    fn subquery(&self, subquery: Subquery) -> EngineResult<Subquery> {
        let plan = self.put_in_subquery(Arc::unwrap_or_clone(subquery.subquery))?;
        let outer_ref_columns = plan.all_out_ref_exprs();
        Ok(Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: subquery.spans })
    }
}

fn replaced(value: Option<&Expr>, expr: Expr) -> Transformed<Expr> {
    value.map_or_else(|| Transformed::no(expr), |value| Transformed::yes(value.clone()))
}

/// Rewrites the expressions of one node. `rewrite` receives the schema of the inputs. Output columns keep their names.
fn map_expressions(
    node: LogicalPlan,
    mut rewrite: impl FnMut(Expr, &DFSchema) -> EngineResult<Transformed<Expr>>,
) -> EngineResult<Transformed<LogicalPlan>> {
    let schema = merge_schema(&node.inputs());
    let names = NamePreserver::new(&node);
    let rewritten = node.map_expressions(|expr| {
        let name = names.save(&expr);
        Ok(rewrite(expr, &schema)?.update_data(|expr| name.restore(expr)))
    })?;
    match rewritten.transformed {
        true => rewritten.map_data(LogicalPlan::recompute_schema),
        false => Ok(rewritten),
    }
}

pub(super) fn cast(expr: Expr, data_type: &DataType) -> Expr {
    datafusion::logical_expr::cast(expr, data_type.clone())
}

/// The argument as a subquery of the body references it: its columns are outer columns.
fn outer(argument: Expr, schema: &DFSchema) -> EngineResult<Expr> {
    let outer = argument.transform_up(|expr| match expr {
        Expr::Column(column) => match schema.qualified_field_from_column(&column) {
            Ok((_, field)) => Ok(Transformed::yes(Expr::OuterReferenceColumn(Arc::clone(field), column))),
            Err(_) => Ok(Transformed::no(Expr::Column(column))),
        },
        other => Ok(Transformed::no(other)),
    })?;
    Ok(outer.data)
}

/// The number of uses of a parameter. A use in a subquery counts twice, because it is evaluated for each row there.
fn uses(expr: &Expr, parameter: &Column) -> EngineResult<usize> {
    let mut uses = 0;
    expr.apply(|expr| {
        match expr {
            Expr::Column(column) if column == parameter => uses += 1,
            Expr::ScalarSubquery(subquery)
            | Expr::Exists(Exists { subquery, .. })
            | Expr::InSubquery(InSubquery { subquery, .. })
            | Expr::SetComparison(SetComparison { subquery, .. }) => {
                let names = |expr: &Expr| matches!(expr, Expr::OuterReferenceColumn(_, column) if column == parameter);
                uses += 2 * subquery.outer_ref_columns.iter().filter(|expr| names(expr)).count();
            }
            _ => {}
        }
        Ok::<_, DataFusionError>(TreeNodeRecursion::Continue)
    })?;
    Ok(uses)
}

fn nodes(expr: &Expr) -> EngineResult<usize> {
    let mut nodes = 0;
    expr.apply(|_| {
        nodes += 1;
        Ok::<_, DataFusionError>(TreeNodeRecursion::Continue)
    })?;
    Ok(nodes)
}
