//! SET VARIABLE. Several assignments run one after the other, as in Spark. If one fails, no variable changes.

use super::ast::{Assigned, Name, SetVariable};
use super::session_variables::{evaluate, name_of, null_value, resolve, values_of_query};
use super::{Mode, Outcome};
use crate::session::Session;
use crate::session::variables::Variable;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::schema::type_name;

/// Evaluates the values and sets the variables.
pub(super) async fn set(session: &Session, set: &SetVariable, mode: Mode) -> Result<Outcome> {
    let names: Vec<&Name> = match set {
        SetVariable::Each(assignments) => assignments.iter().map(|(name, _)| name).collect(),
        SetVariable::OfQuery { names, .. } => names.iter().collect(),
    };
    let variables = names.iter().map(|name| resolve(session, name)).collect::<Result<Vec<_>>>()?;
    for (position, name) in names.iter().enumerate() {
        if names[..position]
            .iter()
            .any(|other| matches!((name_of(other), name_of(name)), (Ok(a), Ok(b)) if a.eq_ignore_ascii_case(b)))
        {
            return Err(Error::new(
                ErrorCode::InvalidAssignment,
                format!("the variable `{}` is set twice", name_of(name)?),
            )
            .at(name.span));
        }
    }
    let values = match set {
        SetVariable::OfQuery { query, .. } => values_of_query(session, query, &variables, mode).await?,
        SetVariable::Each(assignments) => {
            let set = each(session, assignments, &variables, mode).await;
            if set.is_err() {
                for (name, variable) in names.iter().zip(variables) {
                    session.variables().put(name_of(name)?, variable);
                }
            }
            return set.map(|()| Outcome::Prepared);
        }
    };
    for ((name, variable), value) in names.iter().zip(variables).zip(values) {
        session.variables().put(name_of(name)?, Variable { value, ..variable });
    }
    Ok(Outcome::Prepared)
}

/// An assignment sees the values of the assignments before it.
async fn each(session: &Session, assignments: &[(Name, Assigned)], variables: &[Variable], mode: Mode) -> Result<()> {
    let null = null_value();
    for ((name, assigned), variable) in assignments.iter().zip(variables) {
        let value = match assigned {
            Assigned::Value(value) => value,
            Assigned::Default => variable.default.as_ref().unwrap_or(&null),
        };
        let (value, _) = evaluate(session, value, Some(&type_name(&variable.data_type)), mode).await?;
        session.variables().put(name_of(name)?, Variable { value, ..variable.clone() });
    }
    Ok(())
}
