//! SHOW CATALOGS, SHOW SCHEMAS, SHOW TABLES, SHOW SINKS, SHOW COLUMNS. SHOW VIEWS is in `view`.

use super::ast::Name;
use super::rows::Rows;
use super::{schema, view};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The one catalog that a session has.
pub(super) fn catalogs(session: &Session, like: Option<&str>) -> Result<Rows> {
    let matches = pattern(like)?;
    let catalog = Some(session.catalog_name().to_owned()).filter(|name| matches(name));
    Rows::of_text(&["catalog"], catalog.into_iter().map(|name| vec![Some(name)]).collect())
}

pub(super) async fn schemas(session: &Session, like: Option<&str>) -> Result<Rows> {
    let matches = pattern(like)?;
    let schemas = session.warehouse().schemas().await?;
    Rows::of_text(
        &["databaseName"],
        schemas.into_iter().filter(|name| matches(name)).map(|name| vec![Some(name)]).collect(),
    )
}

pub(super) async fn tables(session: &Session, schema: Option<&Name>, like: Option<&str>) -> Result<Rows> {
    let schema = match schema {
        Some(name) => schema::existing(session, name).await?,
        None => session.current_schema(),
    };
    let matches = pattern(like)?;
    let mut tables = session.warehouse().tables(&schema).await?;
    tables.extend(session.warehouse().views(&schema).await?);
    tables.sort();
    let row = |table: String| vec![Some(schema.clone()), Some(table), Some("false".to_owned())];
    // Temporary views are in no schema, and shown beside the tables of any.
    let view = |view: String| vec![Some(String::new()), Some(view), Some("true".to_owned())];
    let tables = tables.into_iter().filter(|name| matches(name)).map(row);
    let views = session.views().names().into_iter().filter(|name| matches(name)).map(view);
    Rows::of_text(&["database", "tableName", "isTemporary"], tables.chain(views).collect())
}

pub(super) async fn sinks(session: &Session, schema: Option<&Name>, like: Option<&str>) -> Result<Rows> {
    let schema = match schema {
        Some(name) => schema::existing(session, name).await?,
        None => session.current_schema(),
    };
    let matches = pattern(like)?;
    let sinks = session.warehouse().sinks(&schema).await?;
    let row = |sink: String| vec![Some(schema.clone()), Some(sink)];
    Rows::of_text(&["database", "sinkName"], sinks.into_iter().filter(|name| matches(name)).map(row).collect())
}

pub(super) async fn columns(session: &Session, name: &Name) -> Result<Rows> {
    if let Some(view) = view::described(session, name).await? {
        return Rows::of_text(&["col_name"], view.columns.into_iter().map(|(name, ..)| vec![Some(name)]).collect());
    }
    let table = session.open_table(&name.table(session)?).await.map_err(|error| error.at(name.span))?;
    let schema = table.schema();
    Rows::of_text(&["col_name"], schema.fields().iter().map(|field| vec![Some(field.name().clone())]).collect())
}

/// Databricks' pattern for names: `*` for any characters, `|` between alternatives, case of no matter
/// (<https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-aux-show-tables.html>).
pub fn pattern(like: Option<&str>) -> Result<impl Fn(&str) -> bool> {
    let mut set = globset::GlobSetBuilder::new();
    for alternative in like.unwrap_or("*").split('|') {
        let literal: Vec<String> = alternative.trim().split('*').map(globset::escape).collect();
        let glob = globset::GlobBuilder::new(&literal.join("*")).case_insensitive(true).build();
        set.add(glob.map_err(|error| {
            Error::new(ErrorCode::InvalidPattern, format!("`{alternative}` is not a pattern")).caused_by(error)
        })?);
    }
    let set =
        set.build().map_err(|error| Error::new(ErrorCode::InvalidPattern, "this is not a pattern").caused_by(error))?;
    Ok(move |name: &str| set.is_match(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_databricks() {
        for (like, name, expected) in [
            (None, "pin_data", true),
            (Some("pin*"), "pin_data", true),
            (Some("PIN*"), "pin_data", true),
            (Some("geo*|*_data"), "pin_data", true),
            (Some("pin"), "pin_data", false),
            (Some("p?n_data"), "pin_data", false),
        ] {
            assert_eq!(pattern(like).unwrap()(name), expected, "{like:?} {name}");
        }
    }
}
