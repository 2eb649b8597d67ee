//! The columns and details of a view, for DESCRIBE and SHOW COLUMNS.

use arrow::datatypes::FieldRef;

use super::ast::Name;
use super::object_names::temporary_view;
use super::query::{self, Purpose};
use super::rows::{Rows, timestamp};
use super::view_definition::parsed;
use crate::catalog::DefinitionKind;
use crate::session::Session;
use crate::session::temporary_views::View;
use pinsql_base::error::{Error, Result};
use pinsql_base::schema::type_name;

/// The view that `name` means, if it means one.
pub(super) async fn described(session: &Session, name: &Name) -> Result<Option<Described>> {
    if let Some(temporary) = temporary_view(session, name) {
        let view = session.views().get(temporary).ok_or_else(|| Error::internal("a view is gone"))?;
        let details = vec![("Table", temporary.to_owned()), ("Type", "TEMPORARY VIEW".to_owned())];
        return Described::new(session, &view, details).await.map(Some);
    }
    let view_name = name.table(session)?;
    let Some(definition) = session.definition(DefinitionKind::View, &view_name).await? else {
        return Ok(None);
    };
    let create = parsed(&view_name, &definition)?;
    let view = query::view_of(&view_name, &definition)?;
    let properties: std::collections::BTreeMap<_, _> = create.properties.iter().cloned().collect();
    let details = vec![
        ("Database", view_name.schema().to_owned()),
        ("Table", view_name.table().to_owned()),
        ("Type", "VIEW".to_owned()),
        ("Created Time", timestamp(Some(definition.created_at_ms)).unwrap_or_default()),
        ("View Text", create.query_text),
        ("Table Properties", serde_json::to_string(&properties).unwrap_or_default()),
    ];
    Described::new(session, &view, details).await.map(Some)
}

/// A view as DESCRIBE shows it.
#[derive(Debug)]
pub(super) struct Described {
    /// Name, type and comment of each column. The types are those that a query over the view has now.
    pub(super) columns: Vec<(String, String, Option<String>)>,
    details: Vec<(&'static str, String)>,
}

impl Described {
    async fn new(session: &Session, view: &View, mut details: Vec<(&'static str, String)>) -> Result<Self> {
        let planned = Box::pin(query::plan(session, &view.query, Purpose::Check)).await?;
        let fields = planned.plan.schema().as_arrow().fields().iter().enumerate();
        let column = |(position, field): (usize, &FieldRef)| {
            let listed = view.columns.get(position).map(|name| name.value.clone());
            let comment = view.column_comments.get(position).cloned().flatten();
            (listed.unwrap_or_else(|| field.name().clone()), type_name(field.data_type()), comment)
        };
        details.push(("Comment", view.comment.clone().unwrap_or_default()));
        Ok(Self { columns: fields.map(column).collect(), details })
    }

    /// The rows of DESCRIBE. EXTENDED adds the details under a heading, as it does for tables.
    pub(super) fn rows(self, extended: bool) -> Result<Rows> {
        let columns = self.columns.into_iter();
        let mut rows: Vec<_> =
            columns.map(|(name, data_type, comment)| vec![Some(name), Some(data_type), comment]).collect();
        if extended {
            let row = |key: &str, value: String| vec![Some(key.to_owned()), Some(value), None];
            rows.push(row("# Detailed Table Information", String::new()));
            rows.extend(self.details.into_iter().map(|(key, value)| row(key, value)));
        }
        Rows::of_text(&["col_name", "data_type", "comment"], rows)
    }
}
