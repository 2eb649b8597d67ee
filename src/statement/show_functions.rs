//! SHOW FUNCTIONS and DESCRIBE FUNCTION, of SQL functions, library functions and built-in functions.

use std::collections::BTreeSet;

use datafusion::logical_expr::Documentation;

use super::ast::{FunctionsShown, Name};
use super::create_function::call_with_nulls;
use super::query::{self, Purpose};
use super::rows::Rows;
use super::{name_pattern, resolve_schema};
use crate::catalog::DefinitionKind;
use crate::session::Session;
use crate::session::sql_functions::{DataAccess, Returns, SqlFunction};
use pinsql_base::error::{Error, ErrorCode, Result, nearest};
use pinsql_base::schema::type_name;

/// SHOW FUNCTIONS, in alphabetical order. Functions of a schema have its name before theirs
/// (<https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-aux-show-functions.html>).
pub(super) async fn show(
    session: &Session,
    kind: FunctionsShown,
    in_schema: Option<&Name>,
    like: Option<&str>,
) -> Result<Rows> {
    let schema = match in_schema {
        Some(name) => resolve_schema::existing(session, name).await?,
        None => session.current_schema(),
    };
    let matches = name_pattern(like)?;
    let mut names = BTreeSet::new();
    if kind != FunctionsShown::User {
        names.extend(session.built_in_functions().into_iter().filter(|name| matches(name)));
    }
    if kind != FunctionsShown::System {
        let temporary = session.sql_functions().names().into_iter().chain(session.library_functions().names());
        names.extend(temporary.filter(|name| matches(name)));
        let permanent = session.warehouse().functions(&schema).await?;
        names.extend(permanent.into_iter().filter(|name| matches(name)).map(|name| format!("{schema}.{name}")));
    }
    Rows::of_text(&["function"], names.into_iter().map(|name| vec![Some(name)]).collect())
}

/// DESCRIBE FUNCTION: the details of one function, as lines.
pub(super) async fn describe(session: &Session, name: &Name, extended: bool) -> Result<Rows> {
    let parts: Vec<&str> = name.parts.iter().map(|part| part.value.as_str()).collect();
    let temporary = match parts.as_slice() {
        [only] if session.is_built_in_function(only) => return built_in(session, only, extended),
        [only] => Some(*only),
        parts => query::temporary_name(parts),
    };
    if let Some(function) = temporary.and_then(|name| session.sql_functions().get(name)) {
        return lines(of_sql(session, &function, extended).await?);
    }
    if let Some(function) = temporary.and_then(|name| session.library_functions().get(name)) {
        return lines(function.facts(extended));
    }
    let function = name.table(session)?;
    match session.definition(DefinitionKind::Function, &function).await? {
        Some(definition) => lines(of_sql(session, &query::function_of(&function, &definition)?, extended).await?),
        None => {
            let error = Error::new(ErrorCode::UnresolvedRoutine, format!("there is no function {name}")).at(name.span);
            let known = session.built_in_functions();
            let names = known.iter().map(String::as_str);
            Err(match parts.last().and_then(|last| nearest(last, names)) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error,
            })
        }
    }
}

fn lines(facts: Vec<(&'static str, String)>) -> Result<Rows> {
    let width = facts.iter().map(|(name, _)| name.len() + 1).max().unwrap_or_default();
    let line = |(name, value): (&str, String)| {
        let head = if name.is_empty() { String::new() } else { format!("{name}:") };
        vec![Some(format!("{head:width$} {value}").trim_end().to_owned())]
    };
    Rows::of_text(&["function_desc"], facts.into_iter().map(line).collect())
}

async fn of_sql(session: &Session, function: &SqlFunction, extended: bool) -> Result<Vec<(&'static str, String)>> {
    let kind = if function.is_table_function() { "TABLE" } else { "SCALAR" };
    let mut facts = vec![("Function", function.full_name()), ("Type", kind.to_owned())];
    let signature = &function.signature;
    for (position, parameter) in signature.parameters.iter().enumerate() {
        let mut text = format!("{} {}", parameter.name, parameter.data_type);
        if let (true, Some(default)) = (extended, &parameter.default) {
            text += &format!(" DEFAULT {default}");
        }
        if let (true, Some(comment)) = (extended, &parameter.comment) {
            text += &format!(" '{comment}'");
        }
        facts.push((if position == 0 { "Input" } else { "" }, text));
    }
    if signature.parameters.is_empty() {
        facts.push(("Input", "()".to_owned()));
    }
    for (position, column) in returns(session, function).await?.into_iter().enumerate() {
        facts.push((if position == 0 { "Returns" } else { "" }, column));
    }
    if let Some(comment) = &signature.comment {
        facts.push(("Comment", comment.clone()));
    }
    if extended {
        if let Some(is_deterministic) = signature.is_deterministic {
            facts.push(("Deterministic", is_deterministic.to_string()));
        }
        let data_access = signature.data_access.map(|access| match access {
            DataAccess::ContainsSql => "CONTAINS SQL",
            DataAccess::ReadsSqlData => "READS SQL DATA",
        });
        facts.extend(data_access.map(|access| ("Data Access", access.to_owned())));
        facts.push(("Body", function.body.to_string()));
    }
    Ok(facts)
}

/// The result type, or the columns of a table function. If the definition has none, the body is planned to find them.
async fn returns(session: &Session, function: &SqlFunction) -> Result<Vec<String>> {
    match &function.signature.returns {
        Returns::Scalar(data_type) => return Ok(vec![data_type.clone()]),
        Returns::Table(columns) if !columns.is_empty() => {
            return Ok(columns.iter().map(|column| format!("{} {}", column.name, column.data_type)).collect());
        }
        Returns::Inferred | Returns::Table(_) => {}
    }
    let planned = Box::pin(query::plan(session, &call_with_nulls(function)?, Purpose::Check)).await?;
    if function.is_table_function() {
        let columns = query::body_columns(&planned.plan)?;
        return Ok(columns.iter().map(|(name, data_type)| format!("{name} {}", type_name(data_type))).collect());
    }
    Ok(vec![type_name(planned.plan.schema().field(0).data_type())])
}

fn built_in(session: &Session, name: &str, extended: bool) -> Result<Rows> {
    let mut facts = vec![("Function", name.to_lowercase())];
    let state = session.state();
    let lower = name.to_lowercase();
    let documentation: Option<Documentation> = None
        .or_else(|| state.scalar_functions().get(&lower).and_then(|it| it.documentation().cloned()))
        .or_else(|| state.aggregate_functions().get(&lower).and_then(|it| it.documentation().cloned()))
        .or_else(|| state.window_functions().get(&lower).and_then(|it| it.documentation().cloned()));
    let Some(documentation) = documentation else {
        facts.push(("Usage", "not documented here: see the functions of Databricks SQL".to_owned()));
        return lines(facts);
    };
    facts.push(("Usage", format!("{} - {}", documentation.syntax_example, documentation.description.trim())));
    if extended {
        for (position, (argument, meaning)) in documentation.arguments.iter().flatten().enumerate() {
            facts.push((if position == 0 { "Arguments" } else { "" }, format!("{argument}: {meaning}")));
        }
        for (position, line) in documentation.sql_example.iter().flat_map(|example| example.lines()).enumerate() {
            facts.push((if position == 0 { "Examples" } else { "" }, line.to_owned()));
        }
    }
    lines(facts)
}
