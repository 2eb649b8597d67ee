//! Calls of SQL functions: in the text's tree a call becomes one of a placeholder, and the body travels with the query.
//!
//! A body is a WITH query under a name that no user can write: so it is resolved, opened and typed by the same steps as the
//! query, and a query that is kept to be planned again keeps it too. The last step takes these out, plans each, and puts them in
//! the place of the calls (`inline`). A table function is planned with the arguments of its one call, which are constants, and
//! is a relation from then on.

use std::ops::ControlFlow;
use std::sync::Arc;

use sqlparser::ast::{
    Cte, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query,
    Select, SelectItem, SetExpr, Spanned, TableAlias, TableFactor, VisitMut, VisitorMut,
};

use super::definitions::{Definitions, temporary_name};
use super::function_arguments::{Bound, bind};
use super::relations::is_table_function;
use super::{names, views};
use crate::session::Session;
use crate::session::sql_functions::{Body, Parameter, ResultColumn, Returns, SqlFunction};
use crate::statement::template::{self, quoted};
use pinsql_base::error::{Error, ErrorCode, Result, Span};

/// What the WITH query of a body is called, in front of the function's name; `table function` in the place of `function` for one
/// call of a table function, behind which the number of the call stands. No user's name can have a space and a colon.
pub(super) const SCALAR_PREFIX: &str = "function: ";
pub(super) const TABLE_PREFIX: &str = "table function: ";

/// The column that stands for the parameters of a function without any.
pub(super) const NO_PARAMETERS: &str = "no parameters";

/// The schema of the relations that calls of table functions stand for.
pub(super) const RELATIONS_SCHEMA: &str = "sql functions";

/// How many calls of table functions, and how many different scalar functions, one query may have.
const BODIES_MAX: usize = 200;

/// Puts placeholders in the place of the calls of SQL functions in `query`, and their bodies in its WITH.
pub(super) fn expand(session: &Session, definitions: &Definitions, query: &mut Query) -> Result<()> {
    let schema = session.current_schema();
    let mut calls = Calls { session, definitions, schema, bodies: Vec::new(), inside: Vec::new() };
    calls.expand(query)?;
    put_with(query, calls.bodies)
}

/// Puts WITH queries in front of those of `query`.
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

struct Calls<'a> {
    session: &'a Session,
    definitions: &'a Definitions,
    /// The schema that the names at hand are looked up in.
    schema: String,
    /// Each behind those that it calls itself.
    bodies: Vec<Cte>,
    /// The functions whose bodies are around this place, by full name.
    inside: Vec<String>,
}

impl Calls<'_> {
    fn expand(&mut self, tree: &mut impl VisitMut) -> Result<()> {
        match tree.visit(self) {
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
                format!("{name} is a table function, and stands here as an expression"),
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
            return Err(Error::new(ErrorCode::InvalidExpression, format!("{name} is no aggregate or window function")));
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

    /// The arguments in the order of the parameters; a default may call functions itself.
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

    /// Takes in the body of `function` under `name`, once.
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
        let known = views::Known::of(self.session, self.definitions, &function.schema);
        views::expand(known, &mut query)?;
        names::name_columns(&mut query);
        self.inside.push(full_name);
        self.within(function, |calls| calls.expand(&mut query))?;
        self.inside.pop();
        self.bodies.push(common(name, query)?);
        Ok(())
    }

    /// Where names mean what they mean in `function`.
    fn within(&mut self, function: &SqlFunction, act: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let outer = std::mem::replace(&mut self.schema, function.schema.clone());
        let done = act(self);
        self.schema = outer;
        done
    }

    fn table_call(&mut self, factor: &mut TableFactor) -> Result<()> {
        let TableFactor::Table { name, args: args @ Some(_), alias, .. } = factor else { return Ok(()) };
        if args.as_ref().is_some_and(views::is_stream_of_a_name) || is_table_function(name) {
            return Ok(());
        }
        let Some(function) = self.find(name)? else { return Ok(()) };
        let full_name = function.full_name();
        if !function.is_table_function() {
            return Err(Error::new(
                ErrorCode::InvalidExpression,
                format!("{full_name} is no table function, and stands here as one"),
            )
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

impl VisitorMut for Calls<'_> {
    type Break = Error;

    /// After what is below it: an argument can be a call too.
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

/// `builtin.f` and `system.builtin.f` are `f`, whatever else has that name; so is `session.f` when a library has it.
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

/// Lets `act` change the queries in a body: an expression is one for that long.
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

/// `SELECT body FROM (SELECT parameters)`: what a call of a scalar function comes to.
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

/// `SELECT EXISTS (body) FROM (SELECT arguments)`: a query whose body knows its parameters from around it.
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

/// The parameters as columns of one row: NULLs of their types.
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

pub(super) fn common(name: &str, query: Query) -> Result<Cte> {
    let template = template_query(&format!("WITH {} AS (SELECT 1) SELECT 1", quoted(name)))?;
    let mut common = template.with.and_then(|with| with.cte_tables.into_iter().next()).ok_or_else(lost)?;
    *common.query = query;
    Ok(common)
}

pub(super) fn lost() -> Error {
    Error::internal("the body of a function was lost on its way")
}

/// A query of this module's own.
pub(super) fn template_query(sql: &str) -> Result<Query> {
    template::query(sql, &[], &[])
}
