//! DECLARE VARIABLE and DROP TEMPORARY VARIABLE. SET VARIABLE is in `set_variable`.
//!
//! A variable belongs to the session. Its value is evaluated once, when the statement runs: `DEFAULT rand()` is one number.
//! `query::variable_values` puts the values into queries.

use super::ast::{DeclareVariable, Name};
use super::session_variables::{evaluate, name_of, not_found, null_value};
use super::{Mode, Outcome};
use crate::session::Session;
use crate::session::variables::Variable;
use pinsql_base::error::{Error, ErrorCode, Result};

pub(super) async fn declare(session: &Session, declare: &DeclareVariable, mode: Mode) -> Result<Outcome> {
    for (position, name) in declare.names.iter().enumerate() {
        let variable = name_of(name)?;
        let is_twice = declare.names[..position]
            .iter()
            .any(|other| name_of(other).is_ok_and(|other| other.eq_ignore_ascii_case(variable)));
        if is_twice {
            return Err(Error::new(
                ErrorCode::VariableAlreadyExists,
                format!("the variable `{variable}` is declared twice"),
            )
            .at(name.span));
        }
        if !declare.or_replace && session.variables().get(variable).is_some() {
            return Err(Error::new(
                ErrorCode::VariableAlreadyExists,
                format!("there is a variable `{variable}` already"),
            )
            .at(name.span)
            .with_hint("DECLARE OR REPLACE VARIABLE replaces it"));
        }
    }
    let null = null_value();
    let value = declare.value.as_ref().unwrap_or(&null);
    let (value, data_type) = evaluate(session, value, declare.data_type.as_deref(), mode).await?;
    if data_type.is_null() {
        return Err(Error::new(ErrorCode::UnsupportedDatatype, "a variable needs a type: NULL has none")
            .at(declare.names[0].span)
            .with_hint("DECLARE VARIABLE name STRING"));
    }
    for name in &declare.names {
        let variable = Variable { value: value.clone(), data_type: data_type.clone(), default: declare.value.clone() };
        session.variables().put(name_of(name)?, variable);
    }
    Ok(Outcome::Prepared)
}

pub(super) fn drop(session: &Session, name: &Name, if_exists: bool) -> Result<Outcome> {
    let variable = name_of(name)?;
    match (session.variables().remove(variable), if_exists) {
        (true, _) => Ok(Outcome::Prepared),
        (false, true) => Ok(Outcome::Done(format!("there is no variable {variable}"))),
        (false, false) => Err(not_found(session, name)),
    }
}
