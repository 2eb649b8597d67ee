//! ALTER VIEW … AS: the view gets another query and the columns of that query. Comment and properties stay.

use super::ast::AlterView;
use super::object_names::temporary_view;
use super::view_definition::{not_found, parsed, statement_text, stored_columns};
use super::{Mode, Outcome};
use crate::catalog::{Definition, DefinitionKind};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result};

pub(super) async fn alter(session: &Session, alter: &AlterView, mode: Mode) -> Result<Outcome> {
    if let Some(view) = temporary_view(session, &alter.name) {
        return Err(Error::new(ErrorCode::WrongObjectType, format!("`{view}` is a temporary view"))
            .at(alter.name.span)
            .with_hint("CREATE OR REPLACE TEMPORARY VIEW changes it"));
    }
    let name = alter.name.table(session)?;
    let Some(definition) = session.definition(DefinitionKind::View, &name).await? else {
        return Err(not_found(session, &alter.name, &name).await);
    };
    stored_columns(session, &alter.query, &name, alter.name.span).await?;
    let before = parsed(&name, &definition)?;
    let definition = Definition::new(statement_text(&name, &before, false, &alter.query_text));
    if mode == Mode::Check {
        session.declare_definition(DefinitionKind::View, name, definition);
        return Ok(Outcome::Prepared);
    }
    session.warehouse().put_definition(DefinitionKind::View, &name, &definition, true).await?;
    Ok(Outcome::Done(format!("view {name} changed")))
}
