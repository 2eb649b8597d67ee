//! Time travel: `t VERSION AS OF …`, `t TIMESTAMP AS OF …`, and ``delta.`path` ``, the table at a path, newest or of a version.
//!
//! An older version is a separate relation. A name takes its place in the query, so one query can read several versions of a
//! table. A version never changes, so a statement that writes a table and reads an older version of it does not conflict with
//! other writers. The same holds for tables at a path outside the warehouse.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::execution::SessionState;
use sqlparser::ast::{
    CastKind, DataType, Expr, Ident, ObjectName, ObjectNamePart, Query, Spanned, TableAlias, TableFactor, TableVersion,
    TimezoneInfo, VisitorMut,
};
use url::Url;

use super::table_function_calls::{constant, text};
use super::view_expansion::each_relation;
use crate::catalog::TableName;
use crate::session::Session;
use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result, Span};
use pinsql_base::store;
use pinsql_delta::{AsOf, TableLocation};

/// The schema of the versions. Schemas of users cannot have a space in their names.
pub(super) const VERSIONS_SCHEMA: &str = "table version";

/// The schema name before a path, in any case. A real schema can have this name too, because table names have no slash.
const PLACES: &str = "delta";

#[derive(Debug, PartialEq)]
enum Version {
    OfTable(TableName, AsOf),
    /// The newest version, if none is given.
    AtPlace(Url, Option<AsOf>),
}

/// A version of a table, or the table at a path, and its name in the query.
#[derive(Debug)]
pub(super) struct Versioned {
    version: Version,
    pub(super) relation: String,
    pub(super) span: Span,
}

impl Versioned {
    pub(super) async fn open(&self, session: &Session, state: &SessionState) -> Result<Arc<dyn TableProvider>> {
        match &self.version {
            Version::OfTable(table, as_of) => Ok(session.open_table_as_of(table, *as_of).await?.provider),
            Version::AtPlace(place, as_of) => open_place(session, state, place, *as_of).await,
        }
    }
}

async fn open_place(
    session: &Session,
    state: &SessionState,
    place: &Url,
    as_of: Option<AsOf>,
) -> Result<Arc<dyn TableProvider>> {
    session.connect(place.as_str()).await?;
    let location = TableLocation::new(format!("{PLACES}.`{place}`"), place, state.runtime_env())?;
    let Some(newest) = location.open().await? else {
        return Err(Error::new(ErrorCode::TableOrViewNotFound, format!("there is no Delta table at {place}"))
            .with_hint("the path is that of the folder which has the table's _delta_log"));
    };
    let table = match as_of {
        Some(as_of) => location.open_as_of(newest, as_of).await?,
        None => newest,
    };
    location.provider(&table)
}

/// Replaces the versions in `query` by names. Returns each version once.
pub(super) fn take(session: &Session, state: &SessionState, query: &mut Query) -> Result<Vec<Versioned>> {
    let mut found: Vec<Versioned> = Vec::new();
    each_relation(query, |_, factor| take_version(session, state, factor, &mut found))?;
    // The versions that are left belong to names of WITH queries.
    match walk::rewrite(query, &mut Others) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(found),
    }
}

struct Others;

impl VisitorMut for Others {
    type Break = Error;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        match refuse_common(factor) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn refuse_common(factor: &TableFactor) -> Result<()> {
    match factor {
        TableFactor::Table { name, version: Some(_), .. } => {
            Err(Error::new(ErrorCode::WrongObjectType, format!("{name} is a query of WITH, which has no versions"))
                .at(name.span())
                .with_hint("ask for the version of a table in that query"))
        }
        _ => Ok(()),
    }
}

fn take_version(
    session: &Session,
    state: &SessionState,
    factor: &mut TableFactor,
    found: &mut Vec<Versioned>,
) -> Result<()> {
    let TableFactor::Table { name, alias, version, args: None, .. } = factor else { return Ok(()) };
    let span = Span::from(name.span());
    let parts: Vec<&Ident> = name.0.iter().filter_map(ObjectNamePart::as_ident).collect();
    let texts: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
    let called = texts.last().copied().unwrap_or_default().to_owned();
    let asked = asked(session, state, &texts, version.take()).map_err(|error| error.at(span))?;
    let [schema, relation] = match asked {
        Asked::Name => return Ok(()),
        Asked::Named(table) => [table.schema().to_owned(), table.table().to_owned()],
        Asked::Of(version) => [VERSIONS_SCHEMA.to_owned(), relation(version, span, found)],
    };
    let quoted = |text: String| Ident::with_quote('`', text);
    alias.get_or_insert_with(|| TableAlias { explicit: true, name: quoted(called), columns: Vec::new(), at: None });
    *name = ObjectName([schema, relation].map(|part| ObjectNamePart::Identifier(quoted(part))).to_vec());
    Ok(())
}

/// The name of a version in the query.
fn relation(version: Version, span: Span, found: &mut Vec<Versioned>) -> String {
    if let Some(known) = found.iter().find(|known| known.version == version) {
        return known.relation.clone();
    }
    let relation = match &version {
        Version::OfTable(table, AsOf::Version(version)) => format!("{table}@v{version}"),
        Version::OfTable(table, AsOf::Timestamp(micros)) => format!("{table}@{micros}"),
        // Not the path: names of relations are in lower case, and paths are case-sensitive.
        Version::AtPlace(_, _) => format!("place {}", found.len() + 1),
    };
    found.push(Versioned { version, relation: relation.clone(), span });
    relation
}

/// The version that a relation means.
enum Asked {
    /// The newest version of a table, by its name.
    Name,
    /// The newest version of a table, by its path.
    Named(TableName),
    Of(Version),
}

fn asked(session: &Session, state: &SessionState, name: &[&str], version: Option<TableVersion>) -> Result<Asked> {
    let as_of = version.map(|version| as_of(state, &version)).transpose()?;
    let place = place_of(name).map(store::to_url).transpose()?;
    // A table of the warehouse gets its name, so that a statement that also writes it notices the read.
    let named = place.as_ref().and_then(|place| session.warehouse().name_at(place));
    Ok(match (place, named, as_of) {
        (None, _, None) => Asked::Name,
        (None, _, Some(as_of)) => Asked::Of(Version::OfTable(session.table_name(name)?, as_of)),
        (Some(_), Some(table), None) => Asked::Named(table),
        (Some(_), Some(table), Some(as_of)) => Asked::Of(Version::OfTable(table, as_of)),
        (Some(place), None, as_of) => Asked::Of(Version::AtPlace(place, as_of)),
    })
}

/// The path in ``delta.`path` ``.
fn place_of<'a>(name: &[&'a str]) -> Option<&'a str> {
    match name {
        [schema, path] if schema.eq_ignore_ascii_case(PLACES) && path.contains('/') => Some(path),
        _ => None,
    }
}

/// Evaluates a version clause.
///
/// Errors: the expression is not a constant, or its value is not a version or a time.
pub(in crate::statement) fn as_of(state: &SessionState, version: &TableVersion) -> Result<AsOf> {
    match version {
        TableVersion::VersionAsOf(expr) => {
            let value = constant(state, expr)?;
            let number = text(&value).and_then(|text| text.parse().ok()).or_else(|| whole_number(&value));
            number.map(AsOf::Version).ok_or_else(|| {
                Error::new(
                    ErrorCode::InvalidTableVersion,
                    format!("a version must be a number that is not negative, got {value}"),
                )
                .at(expr.span())
                .with_hint("DESCRIBE HISTORY shows the versions of a table")
            })
        }
        TableVersion::TimestampAsOf(expr) | TableVersion::ForSystemTimeAsOf(expr) => {
            moment(state, expr).map(AsOf::Timestamp)
        }
        TableVersion::Function(expr) | TableVersion::Changes { changes: expr, .. } => {
            Err(Error::new(ErrorCode::InvalidTableVersion, format!("{expr} is not a version"))
                .with_hint("write VERSION AS OF 3 or TIMESTAMP AS OF '2026-01-31'"))
        }
    }
}

/// Evaluates a constant that can be cast to a timestamp. Returns microseconds since the epoch.
pub(in crate::statement) fn moment(state: &SessionState, expr: &Expr) -> Result<i64> {
    let cast = Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr.clone()),
        data_type: DataType::Timestamp(None, TimezoneInfo::None),
        array: false,
        format: None,
    };
    match constant(state, &cast).map_err(|error| error.at(expr.span()))? {
        ScalarValue::TimestampMicrosecond(Some(micros), _) => Ok(micros),
        ScalarValue::TimestampNanosecond(Some(nanos), _) => Ok(nanos.div_euclid(1_000)),
        other => {
            Err(Error::new(ErrorCode::InvalidTableVersion, format!("the timestamp of a version cannot be {other}"))
                .at(expr.span()))
        }
    }
}

fn whole_number(value: &ScalarValue) -> Option<u64> {
    match value.cast_to(&arrow::datatypes::DataType::Int64) {
        Ok(ScalarValue::Int64(Some(number))) if value.data_type().is_integer() => u64::try_from(number).ok(),
        _ => None,
    }
}
