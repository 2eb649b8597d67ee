//! Replaces calls of SQL functions by calls of placeholders, and adds the bodies to the query.
//!
//! A body becomes a WITH query under a name that users cannot write. So the same steps resolve, open and type the body and the
//! query, and a query that is stored to be planned again includes its bodies. Later the bodies leave the query again, are planned
//! (`sql_function_bodies`), and replace the calls in the plan (`inline`). A table function is planned with the arguments of each
//! call, which are constants, and becomes a relation.

use std::ops::ControlFlow;
use std::sync::Arc;

use sqlparser::ast::{
    Cte, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query,
    Select, SelectItem, SetExpr, Spanned, TableAlias, TableFactor, VisitMut, VisitorMut,
};

use super::definitions::{Definitions, temporary_name};
use super::relations::is_table_function;
use super::sql_function_arguments::{Bound, bind};
use super::{column_names, view_expansion};
use crate::session::Session;
use crate::session::sql_functions::{Body, Parameter, ResultColumn, Returns, SqlFunction};
use crate::statement::template::{self, quoted};
use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result, Span};

/// Prefixes for the names of the WITH queries. The name of a function follows. For a table function each call has its own WITH
/// query, and the number of the call follows too. Names of users cannot have a space and a colon.
pub(super) const SCALAR_PREFIX: &str = "function: ";
pub(super) const TABLE_PREFIX: &str = "table function: ";

/// The column of a function without parameters, since a row needs one.
pub(super) const NO_PARAMETERS: &str = "no parameters";

/// The schema of the relations of table functions.
pub(super) const RELATIONS_SCHEMA: &str = "sql functions";

/// The largest number of calls of table functions plus different scalar functions in one query.
const BODIES_MAX: usize = 200;

/// Replaces the calls of SQL functions in `query` by placeholders, and adds their bodies to its WITH clause.
pub(super) fn expand(session: &Session, definitions: &Definitions, query: &mut Query) -> Result<()> {
    let schema = session.current_schema();
    let mut calls = SqlFunctionCalls { session, definitions, schema, bodies: Vec::new(), inside: Vec::new() };
    calls.expand(query)?;
    put_with(query, calls.bodies)
}

/// Adds WITH queries before those of `query`.
pub(super) fn put_with(query: &mut Query, mut common: Vec<Cte>) -> Result<()> {
    if common.is_empty() {
        return Ok(());
    }
    let mut with = match query.with.take() {
        Some(with) => with,
        None => {
            let mut with = template_query("WITH w AS (SELECT 1) SELECT 1")?.with.ok_or_else(lost)?;
            with.cte_tables.clear();
            with
        }
    };
    common.append(&mut with.cte_tables);
    with.cte_tables = common;
    query.with = Some(with);
    Ok(())
}

struct SqlFunctionCalls<'a> {
    session: &'a Session,
    definitions: &'a Definitions,
    /// The schema of names that give none, at the current place.
    schema: String,
    /// The bodies. Each follows those that it calls.
    bodies: Vec<Cte>,
    /// The functions whose bodies enclose the current place, by full name.
    inside: Vec<String>,
}

impl SqlFunctionCalls<'_> {
    fn expand(&mut self, tree: &mut impl VisitMut) -> Result<()> {
        match walk::rewrite(tree, self) {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    fn find(&self, name: &ObjectName) -> Result<Option<Arc<SqlFunction>>> {
        if name.0.first().and_then(|part| part.as_ident()).is_some_and(|part| part.value.starts_with(SCALAR_PREFIX)) {
            return Ok(None);
        }
        self.definitions.function(self.session, &self.schema, name)
    }

    fn scalar_call(&mut self, call: &mut Function) -> Result<()> {
        engine_name(self.session, &mut call.name);
        let Some(function) = self.find(&call.name)? else { return Ok(()) };
        let name = function.full_name();
        if function.is_table_function() {
            return Err(Error::new(
                ErrorCode::InvalidExpression,
                format!("{name} is a table function, and cannot be used as an expression"),
            )
            .with_hint(format!("SELECT * FROM {name}(…)")));
        }
        let arguments = match &call.args {
            FunctionArguments::List(list) if list.duplicate_treatment.is_none() && list.clauses.is_empty() => {
                &list.args
            }
            _ => return Err(Error::new(ErrorCode::InvalidExpression, format!("{name} takes a list of arguments"))),
        };
        if call.over.is_some()
            || call.filter.is_some()
            || call.null_treatment.is_some()
            || !call.within_group.is_empty()
        {
            return Err(Error::new(
                ErrorCode::InvalidExpression,
                format!("{name} is not an aggregate or window function"),
            ));
        }
        let arguments = self.arguments(&function, arguments)?;
        let placeholder = format!("{SCALAR_PREFIX}{name}");
        self.body(&function, &placeholder, scalar_query)?;
        call.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::with_quote('`', placeholder))]);
        if let FunctionArguments::List(list) = &mut call.args {
            let unnamed = |argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument));
            list.args = arguments.into_iter().map(unnamed).collect();
        }
        Ok(())
    }

    /// The arguments in the order of the parameters. A default can call functions too.
    fn arguments(&mut self, function: &SqlFunction, given: &[FunctionArg]) -> Result<Vec<Expr>> {
        let bound = bind(function, given)?;
        let mut arguments = Vec::with_capacity(bound.len());
        for Bound { mut value, is_default } in bound {
            if is_default {
                self.within(function, |calls| calls.expand(&mut value))?;
            }
            arguments.push(value);
        }
        Ok(arguments)
    }

    /// Adds the body of `function` under `name`, once.
    fn body(
        &mut self,
        function: &SqlFunction,
        name: &str,
        carrier: impl FnOnce(&SqlFunction) -> Result<Query>,
    ) -> Result<()> {
        if self.bodies.iter().any(|body| body.alias.name.value == name) {
            return Ok(());
        }
        let full_name = function.full_name();
        if self.inside.contains(&full_name) {
            return Err(Error::new(ErrorCode::RecursiveDefinition, format!("the function {full_name} calls itself")));
        }
        if self.bodies.len() + self.inside.len() == BODIES_MAX {
            return Err(Error::new(
                ErrorCode::StatementTooComplex,
                format!("the query calls more than {BODIES_MAX} functions of SQL"),
            ));
        }
        let mut query = carrier(function)?;
        let known = view_expansion::Known::of(self.session, self.definitions, &function.schema);
        view_expansion::expand(known, &mut query)?;
        column_names::name_columns(&mut query);
        self.inside.push(full_name);
        self.within(function, |calls| calls.expand(&mut query))?;
        self.inside.pop();
        self.bodies.push(common(name, query)?);
        Ok(())
    }

    /// Runs `act` with the names of `function`.
    fn within(&mut self, function: &SqlFunction, act: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let outer = std::mem::replace(&mut self.schema, function.schema.clone());
        let done = act(self);
        self.schema = outer;
        done
    }

    fn table_call(&mut self, factor: &mut TableFactor) -> Result<()> {
        let TableFactor::Table { name, args: args @ Some(_), alias, .. } = factor else { return Ok(()) };
        if args.as_ref().is_some_and(view_expansion::is_stream_of_a_name) || is_table_function(name) {
            return Ok(());
        }
        let Some(function) = self.find(name)? else { return Ok(()) };
        let full_name = function.full_name();
        if !function.is_table_function() {
            return Err(Error::new(ErrorCode::InvalidExpression, format!("{full_name} is not a table function"))
                .with_hint(format!("SELECT {full_name}(…)")));
        }
        let given = args.take().map(|call| call.args).unwrap_or_default();
        let arguments = self.arguments(&function, &given)?;
        let relation = format!("{} {}", function.name, self.bodies.len() + 1);
        self.body(&function, &format!("{TABLE_PREFIX}{relation}"), |body| table_query(body, Some(arguments)))?;
        let part = |value: &str| ObjectNamePart::Identifier(Ident::with_quote('`', value));
        *name = ObjectName(vec![part(RELATIONS_SCHEMA), part(&relation)]);
        alias.get_or_insert_with(|| TableAlias {
            explicit: true,
            name: Ident::new(&function.name),
            columns: Vec::new(),
            at: None,
        });
        Ok(())
    }
}

impl VisitorMut for SqlFunctionCalls<'_> {
    type Break = Error;

    /// After the arguments, which can be calls too.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let Expr::Function(call) = expr else { return ControlFlow::Continue(()) };
        let span = Span::from(call.name.span());
        match self.scalar_call(call) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error.at(span)),
        }
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let TableFactor::Table { name, .. } = &*factor else { return ControlFlow::Continue(()) };
        let span = Span::from(name.span());
        match self.table_call(factor) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error.at(span)),
        }
    }
}

/// Shortens `builtin.f` and `system.builtin.f` to `f`, and `session.f` if a library has it.
fn engine_name(session: &Session, name: &mut ObjectName) {
    let is = |part: Option<&ObjectNamePart>, word: &str| {
        part.and_then(|part| part.as_ident()).is_some_and(|ident| ident.value.eq_ignore_ascii_case(word))
    };
    let start = usize::from(is(name.0.first(), "system"));
    if name.0.len() == start + 2 && is(name.0.get(start), "builtin") {
        name.0.drain(..=start);
        return;
    }
    let parts: Vec<&str> = name.0.iter().filter_map(|part| part.as_ident()).map(|part| part.value.as_str()).collect();
    if temporary_name(&parts).is_some_and(|function| session.library_functions().get(function).is_some()) {
        let first = name.0.len() - 1;
        name.0.drain(..first);
    }
}

/// Lets `act` change a body as a query. An expression is wrapped in a query for the time of the call.
pub(in crate::statement) fn in_body(body: &mut Body, act: impl FnOnce(&mut Query) -> Result<()>) -> Result<()> {
    match body {
        Body::Query(query) => act(query),
        Body::Expression(expr) => {
            let mut query = template::query("SELECT `expression 0` AS result", &[], &[expr.as_ref().clone()])?;
            act(&mut query)?;
            match select_of(&mut query)?.projection.pop() {
                Some(SelectItem::ExprWithAlias { expr: Expr::Nested(changed), .. }) => *expr = changed,
                _ => return Err(lost()),
            }
            Ok(())
        }
    }
}

/// `SELECT body FROM (SELECT parameters)`: the query for the body of a scalar function.
pub(in crate::statement) fn scalar_query(function: &SqlFunction) -> Result<Query> {
    let cast = match &function.signature.returns {
        Returns::Scalar(data_type) => format!("CAST(0 AS {data_type})"),
        Returns::Inferred | Returns::Table(_) => "(0)".to_owned(),
    };
    let mut query = template_query(&format!(
        "SELECT {cast} AS result FROM ({}) AS {}",
        parameters(function),
        quoted(&function.name)
    ))?;
    let body = match &function.body {
        Body::Expression(expr) => expr.as_ref().clone(),
        Body::Query(query) => Expr::Subquery(query.clone()),
    };
    match select_of(&mut query)?.projection.first_mut() {
        Some(SelectItem::ExprWithAlias { expr: Expr::Cast { expr, .. } | Expr::Nested(expr), .. }) => {
            *expr.as_mut() = body
        }
        _ => return Err(lost()),
    }
    Ok(query)
}

/// `SELECT EXISTS (body) FROM (SELECT arguments)`: in this query the parameters are outer columns of the body.
pub(in crate::statement) fn table_query(function: &SqlFunction, arguments: Option<Vec<Expr>>) -> Result<Query> {
    let mut query = template_query(&format!(
        "SELECT EXISTS (SELECT 1) AS result FROM ({}) AS {}",
        parameters(function),
        quoted(&function.name)
    ))?;
    let Body::Query(body) = &function.body else { return Err(lost()) };
    let body = match &function.signature.returns {
        Returns::Table(columns) if !columns.is_empty() => {
            let list = |item: &dyn Fn(&ResultColumn) -> String| columns.iter().map(item).collect::<Vec<_>>().join(", ");
            let casts = list(&|column| {
                let name = quoted(&column.name.value);
                format!("CAST({name} AS {}) AS {name}", column.data_type)
            });
            let names = list(&|column| quoted(&column.name.value));
            let mut outer =
                template_query(&format!("SELECT {casts} FROM (SELECT 1) AS {} ({names})", quoted(&function.name)))?;
            match select_of(&mut outer)?.from.first_mut().map(|from| &mut from.relation) {
                Some(TableFactor::Derived { subquery, .. }) => *subquery = body.clone(),
                _ => return Err(lost()),
            }
            Box::new(outer)
        }
        _ => body.clone(),
    };
    let select = select_of(&mut query)?;
    match select.projection.first_mut() {
        Some(SelectItem::ExprWithAlias { expr: Expr::Exists { subquery, .. }, .. }) => *subquery = body,
        _ => return Err(lost()),
    }
    let Some(TableFactor::Derived { subquery, .. }) = select.from.first_mut().map(|from| &mut from.relation) else {
        return Err(lost());
    };
    for (item, argument) in select_of(subquery)?.projection.iter_mut().zip(arguments.into_iter().flatten()) {
        if let SelectItem::ExprWithAlias { expr: Expr::Cast { expr, .. }, .. } = item {
            *expr.as_mut() = argument;
        }
    }
    Ok(query)
}

/// The parameters as a row of NULLs of their types.
fn parameters(function: &SqlFunction) -> String {
    let parameter =
        |parameter: &Parameter| format!("CAST(NULL AS {}) AS {}", parameter.data_type, quoted(&parameter.name.value));
    match function.signature.parameters.as_slice() {
        [] => format!("SELECT 0 AS {}", quoted(NO_PARAMETERS)),
        parameters => format!("SELECT {}", parameters.iter().map(parameter).collect::<Vec<_>>().join(", ")),
    }
}

fn select_of(query: &mut Query) -> Result<&mut Select> {
    match query.body.as_mut() {
        SetExpr::Select(select) => Ok(select),
        _ => Err(lost()),
    }
}

/// A WITH query.
pub(super) fn common(name: &str, query: Query) -> Result<Cte> {
    let template = template_query(&format!("WITH {} AS (SELECT 1) SELECT 1", quoted(name)))?;
    let mut common = template.with.and_then(|with| with.cte_tables.into_iter().next()).ok_or_else(lost)?;
    *common.query = query;
    Ok(common)
}

pub(super) fn lost() -> Error {
    Error::internal("the body of a function was lost on its way")
}

/// Parses a query that this module builds.
pub(super) fn template_query(sql: &str) -> Result<Query> {
    template::query(sql, &[], &[])
}
