//! CREATE FUNCTION and DROP FUNCTION. A function is written in SQL (temporary, or stored in the warehouse) or comes from a
//! library.
//!
//! The body is planned when the function is created, with NULL for each argument, so an error in it has its place in that
//! statement. Calls of SQL functions are planned in `query::sql_functions`.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Spanned, TableFactor, Visit, Visitor};

use super::ast::{CreateFunction, FunctionSource, Name};
use super::object_names::{refuse_temporary_function, temporary_function_name};
use super::query::{self, Purpose, view_expansion};
use super::{Mode, Outcome, library_function, stored_query};
use crate::catalog::{Definition, DefinitionKind, TableName};
use crate::session::Session;
use crate::session::sql_functions::{Body, DataAccess, Returns, Signature, SqlFunction};
use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result, Span, nearest};

pub(super) async fn create(session: &Session, create: &CreateFunction, mode: Mode) -> Result<Outcome> {
    match &create.source {
        FunctionSource::Sql { signature, body } if create.is_temporary => {
            create_temporary(session, create, signature, body).await
        }
        FunctionSource::Sql { signature, body } => create_permanent(session, create, signature, body, mode).await,
        FunctionSource::Library { path, path_span, exported } => {
            library_function::create(session, create, path, *path_span, exported.as_deref())
        }
    }
}

async fn create_temporary(
    session: &Session,
    create: &CreateFunction,
    signature: &Signature,
    body: &Body,
) -> Result<Outcome> {
    let name = temporary_function_name(&create.name)?.to_lowercase();
    refuse_temporary_function(session, create, &name)?;
    let schema = session.current_schema();
    let function = SqlFunction { name, schema, is_temporary: true, signature: signature.clone(), body: body.clone() };
    check_defaults(session, &function).await?;
    let planned = Box::pin(query::plan(session, &call_with_nulls(&function)?, Purpose::Check)).await?;
    check_shape(&function, &planned.plan)?;
    let FunctionSource::Sql { signature, mut body } = create.placeless.clone() else { return Err(lost_body()) };
    query::in_body(&mut body, |query| view_expansion::qualify(session.views(), &function.schema, query))?;
    session.library_functions().remove(&function.name);
    session.sql_functions().put(SqlFunction { signature, body, ..function });
    Ok(Outcome::Prepared)
}

async fn create_permanent(
    session: &Session,
    create: &CreateFunction,
    signature: &Signature,
    body: &Body,
    mode: Mode,
) -> Result<Outcome> {
    let span = create.name.span;
    let name = create.name.table(session)?;
    let warehouse = session.warehouse();
    if mode == Mode::Run {
        warehouse.require_schema(name.schema()).await.map_err(|error| error.at(span))?;
    }
    let exists = session.definition(DefinitionKind::Function, &name).await?.is_some();
    if exists && create.if_not_exists {
        return Ok(Outcome::Done(format!("the function {name} already exists")));
    }
    if exists && !create.or_replace {
        return Err(already_exists(&name, span));
    }
    let function = SqlFunction {
        name: name.table().to_owned(),
        schema: name.schema().to_owned(),
        is_temporary: false,
        signature: signature.clone(),
        body: body.clone(),
    };
    let what = format!("the function {name}");
    let carrier = call_with_nulls(&function)?;
    stored_query::refuse_parameters(&carrier, &what)?;
    check_defaults(session, &function).await?;
    let planned = stored_query::plan_without_temporary(session, &carrier, &what).await?;
    check_shape(&function, &planned.plan)?;
    let definition = Definition::new(create.text.clone());
    if mode == Mode::Check {
        session.declare_definition(DefinitionKind::Function, name, definition);
        return Ok(Outcome::Prepared);
    }
    match warehouse.put_definition(DefinitionKind::Function, &name, &definition, create.or_replace).await? {
        true => Ok(Outcome::Done(format!("function {name} created"))),
        false => Err(already_exists(&name, span)),
    }
}

fn already_exists(name: &TableName, span: Span) -> Error {
    Error::new(ErrorCode::RoutineAlreadyExists, format!("there is a function {name} already"))
        .at(span)
        .with_hint("CREATE OR REPLACE FUNCTION replaces it")
}

/// The query of a call with NULL for each argument. Names in it belong to the schema of the function.
pub(super) fn call_with_nulls(function: &SqlFunction) -> Result<sqlparser::ast::Query> {
    let mut carrier = match function.is_table_function() {
        true => query::table_query(function, None)?,
        false => query::scalar_query(function)?,
    };
    view_expansion::qualify_all(&function.schema, &mut carrier)?;
    Ok(carrier)
}

fn check_shape(function: &SqlFunction, plan: &datafusion::logical_expr::LogicalPlan) -> Result<()> {
    query::check_body(plan)?;
    let reads = match &function.body {
        Body::Expression(body) => reads_a_table(body.as_ref()),
        Body::Query(body) => reads_a_table(body.as_ref()),
    };
    match reads.filter(|_| function.signature.data_access == Some(DataAccess::ContainsSql)) {
        Some(span) => Err(Error::new(
            ErrorCode::InvalidFunctionDefinition,
            "CONTAINS SQL says that the body reads no table, and it reads one",
        )
        .at(span)
        .with_hint("READS SQL DATA")),
        None => Ok(()),
    }
}

fn reads_a_table(tree: &impl Visit) -> Option<Span> {
    struct Tables;

    impl Visitor for Tables {
        type Break = Span;

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Span> {
            match factor {
                TableFactor::Table { name, .. } => ControlFlow::Break(Span::from(name.span())),
                _ => ControlFlow::Continue(()),
            }
        }
    }

    match walk::read(tree, &mut Tables) {
        ControlFlow::Break(span) => Some(span),
        ControlFlow::Continue(()) => None,
    }
}

/// Checks the defaults: each is an expression without parameters, columns and subqueries.
async fn check_defaults(session: &Session, function: &SqlFunction) -> Result<()> {
    for parameter in &function.signature.parameters {
        let Some(default) = &parameter.default else { continue };
        let subquery = walk::expressions(default, |expr| match expr {
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(expr.span()),
            _ => ControlFlow::Continue(()),
        });
        if let ControlFlow::Break(span) = subquery {
            return Err(Error::new(
                ErrorCode::InvalidFunctionDefinition,
                format!("the default of `{}` has a subquery", parameter.name.value),
            )
            .at(span));
        }
        let alone = SqlFunction {
            signature: Signature { returns: Returns::Scalar(parameter.data_type.clone()), ..Signature::default() },
            body: Body::Expression(Box::new(default.clone())),
            ..function.clone()
        };
        Box::pin(query::plan(session, &call_with_nulls(&alone)?, Purpose::Check))
            .await
            .map_err(|error| error.at(default.span()))?;
    }
    Ok(())
}

pub(super) async fn drop(
    session: &Session,
    name: &Name,
    is_temporary: bool,
    if_exists: bool,
    mode: Mode,
) -> Result<Outcome> {
    if is_temporary {
        let function = temporary_function_name(name)?;
        let was_there = session.sql_functions().remove(function) | session.library_functions().remove(function);
        return match (was_there, if_exists) {
            (true, _) => Ok(Outcome::Prepared),
            (false, true) => Ok(Outcome::Done(format!("there is no temporary function {function}"))),
            (false, false) => {
                let known = [session.sql_functions().names(), session.library_functions().names()].concat();
                Err(unknown(&format!("temporary function `{function}`"), function, &known).at(name.span))
            }
        };
    }
    if let [only] = name.parts.as_slice() {
        if session.is_built_in_function(&only.value) {
            return Err(Error::new(
                ErrorCode::WrongObjectType,
                format!("`{only}` is a built-in function, and cannot be dropped"),
            )
            .at(name.span)
            .with_hint(format!("{}.{only} would be one of the schema", session.current_schema())));
        }
        let is_temporary = session.sql_functions().get(&only.value).is_some()
            || session.library_functions().get(&only.value).is_some();
        if is_temporary {
            return Err(Error::new(ErrorCode::WrongObjectType, format!("`{only}` is a temporary function"))
                .at(name.span)
                .with_hint("DROP TEMPORARY FUNCTION removes it"));
        }
    }
    let function = name.table(session)?;
    let there = match mode {
        Mode::Run => session.warehouse().drop_definition(DefinitionKind::Function, &function).await?,
        Mode::Check => {
            session.forget_definition(DefinitionKind::Function, &function)
                || session.warehouse().definition(DefinitionKind::Function, &function).await?.is_some()
        }
    };
    match (there, if_exists) {
        (true, _) => Ok(Outcome::Done(format!("function {function} dropped"))),
        (false, true) => Ok(Outcome::Done(format!("there is no function {function}"))),
        (false, false) => {
            let known = session.warehouse().functions(function.schema()).await.unwrap_or_default();
            Err(unknown(&format!("function {function}"), function.table(), &known).at(name.span))
        }
    }
}

fn unknown(what: &str, name: &str, known: &[String]) -> Error {
    let error = Error::new(ErrorCode::UnresolvedRoutine, format!("there is no {what}"));
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error,
    }
}

fn lost_body() -> Error {
    Error::internal("the body of a function was lost on its way")
}
