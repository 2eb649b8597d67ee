//! Plans generators: `explode` and similar functions give several rows for each row of a relation.
//!
//! `statement::query::generators` rewrites every use of a generator into one form: a relation followed by the call. Here the call
//! becomes an array of STRUCTs, the array is unnested, and the fields of the STRUCT are the new columns. The columns of the
//! relation keep their names and the name of their table.

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Column, Result, TableReference, internal_err, plan_err};
use datafusion::functions::core::expr_fn::get_field;
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};
use sqlparser::ast::{
    Expr as SqlExpr, ExprWithAlias, Function, FunctionArg, FunctionArgExpr, FunctionArguments, PivotValueSource,
    TableAlias, TableFactor, Value,
};

use pinsql_base::engine_error::{counted, external};
use pinsql_base::error::{Error, ErrorCode};
use pinsql_functions::generators::generator;
use pinsql_sources::places::GENERATED_ROWS;

/// A relation and the generator that runs for each of its rows.
#[derive(Debug, Clone)]
pub struct Generated {
    /// The relation.
    pub input: TableFactor,
    /// True if the result has the columns of `input`.
    pub keeps_input: bool,
    /// The call of the generator.
    pub call: Function,
    /// True if a row without generated rows stays, with NULLs.
    pub is_outer: bool,
    /// True if a generated row is one column of a STRUCT type.
    pub is_struct: bool,
    /// The name of the result. The names of the generated columns, unless the generator's own names apply.
    pub alias: TableAlias,
}

impl Generated {
    /// The AST node for it. sqlparser has none, so it is a PIVOT: all real PIVOTs are rewritten before.
    pub fn into_factor(self) -> TableFactor {
        let flag = |flag: bool| SqlExpr::Value(Value::Boolean(flag).into());
        TableFactor::Pivot {
            table: Box::new(self.input),
            aggregate_functions: vec![ExprWithAlias { expr: SqlExpr::Function(self.call), alias: None }],
            value_column: vec![flag(self.keeps_input), flag(self.is_outer), flag(self.is_struct)],
            value_source: PivotValueSource::List(Vec::new()),
            default_on_null: None,
            alias: Some(self.alias),
        }
    }

    fn from_factor(factor: TableFactor) -> std::result::Result<Self, Box<TableFactor>> {
        match factor {
            TableFactor::Pivot { table, mut aggregate_functions, value_column, alias: Some(alias), .. }
                if matches!(aggregate_functions.as_slice(), [ExprWithAlias { expr: SqlExpr::Function(_), .. }]) =>
            {
                let is_set = |flag: &SqlExpr| *flag == SqlExpr::Value(Value::Boolean(true).into());
                let flags: Vec<bool> = value_column.iter().map(is_set).collect();
                let call = aggregate_functions.pop().map(|function| function.expr);
                match (call, flags.as_slice()) {
                    (Some(SqlExpr::Function(call)), &[keeps_input, is_outer, is_struct]) => {
                        Ok(Self { input: *table, keeps_input, call, is_outer, is_struct, alias })
                    }
                    _ => Err(table),
                }
            }
            other => Err(Box::new(other)),
        }
    }
}

#[derive(Debug)]
pub(super) struct GeneratorPlanner;

impl RelationPlanner for GeneratorPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        match Generated::from_factor(relation) {
            Ok(generated) => {
                let plan = plan(generated, context)?;
                Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
            }
            Err(relation) => Ok(RelationPlanning::Original(relation)),
        }
    }
}

fn plan(generated: Generated, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let Generated { input, keeps_input, call, is_outer, is_struct, alias } = generated;
    let name = call.name.to_string().replace('`', "");
    let input = context.plan(input)?;
    let Some(function) = generator(&name, is_outer) else { return internal_err!("there is no generator {name}") };
    let mut arguments = Vec::new();
    for argument in arguments_of(&call)? {
        arguments.push(constant(context.sql_to_expr(argument, input.schema())?)?);
    }
    let rows = Expr::ScalarFunction(ScalarFunction::new_udf(function.into(), arguments));
    let fields = match rows.get_type(input.schema())? {
        DataType::List(element) => match element.data_type() {
            DataType::Struct(fields) => fields.clone(),
            other => return internal_err!("{name} gives STRUCTs, not {other}"),
        },
        other => return internal_err!("{name} gives an array, not {other}"),
    };

    let kept: Vec<Expr> = match keeps_input {
        true => input.schema().iter().map(|column| Expr::Column(Column::from(column))).collect(),
        false => Vec::new(),
    };
    let relation = TableReference::bare(alias.name.value.as_str());
    let rows_column = Expr::Column(Column::from_name(GENERATED_ROWS));
    let made: Vec<Expr> = match (is_struct, alias.columns.as_slice()) {
        (true, [column]) => vec![rows_column.alias_qualified(Some(relation), column.name.value.as_str())],
        _ => {
            let names = column_names(&name, &alias, fields.iter().map(|field| field.name().as_str()))?;
            let column = |(field, name): (&FieldRef, String)| {
                get_field(rows_column.clone(), field.name().as_str()).alias_qualified(Some(relation.clone()), name)
            };
            fields.iter().zip(names).map(column).collect()
        }
    };
    LogicalPlanBuilder::from(input)
        .project(kept.iter().cloned().chain([rows.alias(GENERATED_ROWS)]))?
        .unnest_column(Column::from_name(GENERATED_ROWS))?
        .project(kept.iter().cloned().chain(made))?
        .build()
}

/// Folds the cast of a literal: `stack` reads its number of rows from a plain literal.
fn constant(expr: Expr) -> Result<Expr> {
    match &expr {
        Expr::Cast(Cast { expr: inner, field }) => match inner.as_ref() {
            Expr::Literal(value, _) => Ok(Expr::Literal(value.cast_to(field.data_type())?, None)),
            _ => Ok(expr),
        },
        _ => Ok(expr),
    }
}

fn arguments_of(call: &Function) -> Result<Vec<SqlExpr>> {
    let FunctionArguments::List(list) = &call.args else { return Ok(Vec::new()) };
    let argument = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr.clone()),
        other => plan_err!("{}: the argument {other} is no value", call.name),
    };
    list.args.iter().map(argument).collect()
}

fn column_names<'a>(
    name: &str,
    alias: &TableAlias,
    columns: impl ExactSizeIterator<Item = &'a str>,
) -> Result<Vec<String>> {
    match (alias.columns.len(), columns.len()) {
        (0, _) => Ok(columns.map(str::to_owned).collect()),
        (given, made) if given == made => Ok(alias.columns.iter().map(|column| column.name.value.clone()).collect()),
        (given, made) => {
            let columns: Vec<&str> = columns.collect();
            let error = Error::new(
                ErrorCode::WrongNumArgs,
                format!("{name} makes {}, and {} are given", counted(made, "column"), counted(given, "name")),
            );
            Err(external(error.with_hint(format!("its columns are {}", columns.join(", ")))))
        }
    }
}
