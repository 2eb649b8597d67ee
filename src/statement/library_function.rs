//! CREATE FUNCTION … USING LIBRARY: a function from a library of the user, until the end of the session.
//!
//! TEMPORARY is optional. The path of a library belongs to this machine and not to the warehouse, so nothing is stored there.

use super::Outcome;
use super::ast::CreateFunction;
use super::object_names::{refuse_temporary_function, temporary_function_name};
use crate::session::{Session, libraries};
use pinsql_base::error::{Error, ErrorCode, Result, Span};

pub(super) fn create(
    session: &Session,
    create: &CreateFunction,
    path: &str,
    path_span: Span,
    exported: Option<&str>,
) -> Result<Outcome> {
    let name = temporary_function_name(&create.name)?.to_lowercase();
    if session.is_built_in_function(&name) {
        return Err(Error::new(ErrorCode::RoutineAlreadyExists, format!("`{name}` is a built-in function"))
            .at(create.name.span)
            .with_hint(format!(
                "built-in functions cannot be replaced: CREATE FUNCTION my_{name} AS '{name}' USING LIBRARY …"
            )));
    }
    let exists = session.library_functions().get(&name).is_some() || session.sql_functions().get(&name).is_some();
    if create.if_not_exists && exists {
        return Ok(Outcome::Done(format!("the function {name} already exists")));
    }
    refuse_temporary_function(session, create, &name)?;
    let function = libraries::load(path, exported.unwrap_or(&name), &name).map_err(|error| error.at(path_span))?;
    session.sql_functions().remove(&name);
    session.library_functions().put(function);
    Ok(Outcome::Prepared)
}
