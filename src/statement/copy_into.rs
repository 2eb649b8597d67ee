//! COPY INTO: loads each file once into an existing table.
//!
//! The table records which files were loaded (`pinsql_delta::LoadedFiles`): the commit that adds the rows also names their
//! files. So a file is loaded once, even if the process is killed or several COPY INTO run at once. If another COPY INTO
//! commits first, the statement looks for new files again.
//!
//! As in Databricks, a file is identified by its name. A file that was overwritten is not loaded again, except with `force`.
//! Columns are matched by name. For JSON and CSV, a column has the type of the table's column with the same name. BY POSITION
//! and a list of columns are for CSV without a header.

use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::{Column as PlanColumn, ScalarValue};
use datafusion::logical_expr::{Expr as EngineExpr, LogicalPlan, LogicalPlanBuilder};
use object_store::ObjectMeta;
use sqlparser::ast::{Query, SetExpr, Spanned};

use super::ast::{CopyColumns, CopyInto, StatementKind, Validate};
use super::parser::parse;
use super::query::{self, Planned, Purpose, parameters};
use super::rows::{self, Rows};
use super::sql_text::literal;
use super::write::{Additions, write_with};
use super::{Checked, Outcome, Watch, describe_columns, object_names, schema_evolution};
use crate::catalog::TableName;
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, ErrorKind, Result, nearest};
use pinsql_base::rejects::Rejects;
use pinsql_base::schema::type_name;
use pinsql_delta::{self as delta, Alteration, LoadedFiles, WriteKind, WriteRequest};
use pinsql_sources::objects::{
    FileChoice, ListedFile, ReadFiles, ScanObjects, SourceEnvironment, infer_schema, list_files,
};

/// The number of attempts if other COPY INTO commit first.
const ATTEMPTS_MAX: u32 = 10;
/// A path with one of these characters is a pattern, as in `read_files`.
const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];
/// The most rows that VALIDATE shows, as in Databricks.
const PREVIEW_ROWS_MAX: u64 = 50;

pub(super) async fn execute(session: &Session, copy: &CopyInto, watch: &dyn Watch) -> Result<Outcome> {
    let name = resolve_target(session, copy)?;
    let mut attempt = 1;
    loop {
        let (location, table) =
            session.warehouse().open_table(&name).await.map_err(|error| error.at(copy.table.span))?;
        let loaded = LoadedFiles::of(&location, &table).await?;
        let table_schema = session.open_table(&name).await?.schema();
        check_columns(copy, &table_schema)?;
        let files = files_to_load(session, copy, &loaded).await?;
        if files.is_empty() {
            return Ok(Outcome::Done(format!("{}: no new files", name.table())));
        }
        let objects: Vec<ObjectMeta> = files.iter().map(|file| file.object.clone()).collect();
        if let Some(validate) = &copy.validate {
            return validation_rows(session, copy, validate, &name, &table_schema, &objects).await.map(Outcome::Rows);
        }
        let (planned, alteration) = plan(session, copy, &table_schema, &objects).await?;
        let urls = files.into_iter().map(|file| file.url).collect();
        let transaction = loaded.write_ahead(&location, urls).await?;
        let additions =
            Additions { transaction: Some(transaction.clone()), base_version: Some(loaded.version), alteration };
        let failed = match write_with(session, name.clone(), WriteKind::Append, planned, additions, watch).await {
            Ok(written) => return Ok(Outcome::Written(Box::new(written))),
            Err(error) => error,
        };
        // The commit may have succeeded without an answer, or another COPY INTO committed first.
        let (_, table) = session.warehouse().open_table(&name).await?;
        let now = LoadedFiles::of(&location, &table).await?;
        if now.is_newest(&transaction) {
            return Ok(Outcome::Done(format!("{}: the files were loaded, and the answer was lost", name.table())));
        }
        if failed.kind() != ErrorKind::Service || now.version == loaded.version || attempt == ATTEMPTS_MAX {
            // After a failure of the storage the commit may still become visible, and it needs its list of files.
            if failed.kind() != ErrorKind::Service {
                delta::forget_loaded(&location, &transaction).await;
            }
            return Err(failed);
        }
        attempt += 1;
    }
}

pub(super) async fn check(session: &Session, copy: &CopyInto) -> Result<Checked> {
    let name = resolve_target(session, copy)?;
    let schema = session.open_table(&name).await.map_err(|error| error.at(copy.table.span))?.schema();
    constant_path(session, copy)?;
    check_columns(copy, &schema)?;
    Ok(Checked::Table { table: name.to_string(), columns: describe_columns(&schema) })
}

fn resolve_target(session: &Session, copy: &CopyInto) -> Result<TableName> {
    object_names::refuse_temporary_view(session, &copy.table, "COPY INTO")?;
    copy.table.writable_table(session)
}

fn constant_path(session: &Session, copy: &CopyInto) -> Result<String> {
    let mut path = copy.path.clone();
    parameters::bind(&mut path, &session.params())?;
    let given = query::constant(&session.state(), &path)?;
    let text = given.try_as_str().flatten().map(str::to_owned);
    text.ok_or_else(|| {
        Error::new(ErrorCode::DatatypeMismatch, "the path of COPY INTO must be a string").at(path.span())
    })
}

/// Returns an error if BY POSITION or a list of columns is not used for CSV without a header, or lists an unknown column.
fn check_columns(copy: &CopyInto, table: &SchemaRef) -> Result<()> {
    if matches!(copy.columns, CopyColumns::ByName) {
        return Ok(());
    }
    let has_header = copy
        .format_options
        .iter()
        .any(|(name, value)| name.eq_ignore_ascii_case("header") && value.eq_ignore_ascii_case("true"));
    if copy.format != "csv" || has_header || copy.select.is_some() || copy.merge_schema {
        return Err(Error::new(
            ErrorCode::ConflictingClauses,
            "BY POSITION and a list of columns are for CSV files without a header",
        )
        .at(copy.format_span)
        .with_hint("FILEFORMAT = CSV without 'header' = 'true', without a SELECT and without mergeSchema"));
    }
    if let CopyColumns::Listed(columns) = &copy.columns {
        for column in columns {
            column_of(table, &column.value).map_err(|error| error.at(column.span))?;
        }
    }
    Ok(())
}

fn column_of<'a>(table: &'a SchemaRef, name: &str) -> Result<&'a arrow::datatypes::FieldRef> {
    table.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
        let error = Error::new(ErrorCode::UnresolvedColumn, format!("the table has no column `{name}`"));
        match nearest(name, table.fields().iter().map(|field| field.name().as_str())) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error,
        }
    })
}

/// FORMAT_OPTIONS as options of `read_files`.
fn reader_options(copy: &CopyInto) -> Result<Vec<(String, String)>> {
    let mut options = vec![("format".to_owned(), copy.format.to_owned())];
    for (name, value) in &copy.format_options {
        match name.to_lowercase().as_str() {
            // The default: the columns are inferred from all files.
            "mergeschema" if value.eq_ignore_ascii_case("true") => {}
            "inferschema" if copy.format == "csv" => {
                infers_types(copy)?;
            }
            "schema" | "schemahints" | "format" => {
                return Err(Error::new(ErrorCode::UnknownOption, format!("FORMAT_OPTIONS has no option {name}"))
                    .at(copy.format_span)
                    .with_hint("the columns of COPY INTO are the table's"));
            }
            _ => options.push((name.clone(), value.clone())),
        }
    }
    Ok(options)
}

/// `inferSchema` of CSV. Without it, the columns of CSV are STRING.
fn infers_types(copy: &CopyInto) -> Result<bool> {
    let given = copy.format_options.iter().find(|(name, _)| name.eq_ignore_ascii_case("inferSchema"));
    match given.map(|(_, value)| value.to_lowercase()).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(Error::new(
            ErrorCode::InvalidOption,
            format!("the option inferSchema is '{other}', but must be true or false"),
        )
        .at(copy.format_span)),
    }
}

fn read_files_call(session: &Session, copy: &CopyInto) -> Result<ReadFiles> {
    let options = reader_options(copy)?;
    let options = options.into_iter().map(|(name, value)| (name, ScalarValue::from(value))).collect();
    Ok(ReadFiles { path: constant_path(session, copy)?, options, with_metadata: false })
}

async fn files_to_load(session: &Session, copy: &CopyInto, loaded: &LoadedFiles) -> Result<Vec<ListedFile>> {
    let call = read_files_call(session, copy)?;
    session.connect(&call.path).await?;
    let (rejects, _) = Rejects::channel();
    let choice = FileChoice { files: copy.files.clone(), pattern: copy.pattern.clone() };
    let environment = SourceEnvironment::new(session.state(), rejects);
    let mut files = list_files(&call, &choice, &environment).await?;
    if files.is_empty() && copy.pattern.is_none() {
        let (code, hint) = match call.path.contains(WILDCARDS) {
            true => (ErrorCode::NoMatchingFiles, "check the pattern"),
            false => (ErrorCode::PathNotFound, "check the path"),
        };
        let error = Error::new(code, format!("there are no files in {}", call.path));
        return Err(error.at(copy.path.span()).with_hint(hint));
    }
    files.retain(|file| copy.force || !loaded.contains(&file.url));
    Ok(files)
}

/// The query over `objects` with the columns of the table, and the columns that the statement adds to the table.
async fn plan(
    session: &Session,
    copy: &CopyInto,
    table: &SchemaRef,
    objects: &[ObjectMeta],
) -> Result<(Planned, Option<Alteration>)> {
    check_columns(copy, table)?;
    let schema = schema_option(session, copy, table, objects).await?;
    let query = query_of(session, copy, schema)?;
    let mut planned = query::plan(session, &query, Purpose::Listed(objects)).await?;
    let listed = match &copy.columns {
        CopyColumns::ByName => return in_table_order(copy, table, planned),
        CopyColumns::ByPosition => table.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>(),
        CopyColumns::Listed(columns) => columns.iter().map(|column| column.value.clone()).collect(),
    };
    planned.plan = by_name(planned.plan, table, &listed)?;
    Ok((planned, None))
}

/// The types that the reader returns: those of the table's columns with the same name or position.
async fn schema_option(
    session: &Session,
    copy: &CopyInto,
    table: &SchemaRef,
    objects: &[ObjectMeta],
) -> Result<Option<(&'static str, String)>> {
    let ddl = |name: &str, data_type: &DataType| format!("`{}` {}", name.replace('`', "``"), type_name(data_type));
    let all = |schema: &Schema| {
        let columns = schema.fields().iter().map(|field| ddl(field.name(), field.data_type()));
        columns.collect::<Vec<_>>().join(", ")
    };
    if let CopyColumns::Listed(columns) = &copy.columns {
        let columns: Vec<String> = columns
            .iter()
            .map(|column| column_of(table, &column.value).map(|field| ddl(field.name(), field.data_type())))
            .collect::<Result<_>>()?;
        return Ok(Some(("schema", columns.join(", "))));
    }
    match (&copy.columns, copy.format, &copy.select) {
        (CopyColumns::ByPosition, ..) => Ok(Some(("schema", all(table)))),
        (_, "json", None) => Ok(Some(("schemaHints", all(table)))),
        (_, "csv", _) if !infers_types(copy)? => {
            let (rejects, _) = Rejects::channel();
            let environment = SourceEnvironment::new(session.state(), rejects);
            let listed = ScanObjects::Listed(objects.to_vec());
            let found = infer_schema(read_files_call(session, copy)?, listed, &environment).await?;
            let columns = found.fields().iter().map(|field| {
                let of_table = table.fields().iter().find(|of| of.name().eq_ignore_ascii_case(field.name()));
                match of_table.filter(|_| copy.select.is_none()) {
                    Some(of_table) => ddl(field.name(), of_table.data_type()),
                    None => ddl(field.name(), &DataType::Utf8),
                }
            });
            Ok(Some(("schema", columns.collect::<Vec<_>>().join(", "))))
        }
        _ => Ok(None),
    }
}

fn query_of(session: &Session, copy: &CopyInto, schema: Option<(&'static str, String)>) -> Result<Box<Query>> {
    let lost = || Error::internal("the query of COPY INTO was lost on its way");
    let path = constant_path(session, copy)?;
    let schema = schema.map(|(name, value)| (name.to_owned(), value));
    let options = reader_options(copy)?.into_iter().chain(schema);
    let options: String = options.map(|(name, value)| format!(", `{name}` => {}", literal(&value))).collect();
    let sql = format!("SELECT * FROM read_files({}{options})", literal(&path));
    let Some(StatementKind::Query(mut query)) = parse(&sql)?.into_iter().next().map(|statement| statement.kind) else {
        return Err(lost());
    };
    if let Some(select) = &copy.select {
        let SetExpr::Select(body) = query.body.as_mut() else { return Err(lost()) };
        body.projection.clone_from(select);
    }
    Ok(query)
}

/// Matches the columns by name. New columns are added after those of the table if the statement allows it.
fn in_table_order(copy: &CopyInto, table: &SchemaRef, mut planned: Planned) -> Result<(Planned, Option<Alteration>)> {
    let given = planned.plan.schema().as_arrow().clone();
    let added = schema_evolution::added(table, &given);
    if let (Some(first), false) = (added.first(), copy.merge_schema) {
        let error = Error::new(
            ErrorCode::UnresolvedColumn,
            format!("the files have a column `{}`, which the table does not have", first.name()),
        );
        let hint = "COPY_OPTIONS ('mergeSchema' = 'true') adds it to the table, and a SELECT leaves it out";
        return Err(match nearest(first.name(), table.fields().iter().map(|field| field.name().as_str())) {
            Some(near) => error.with_hint(format!("did you mean `{near}`? {hint}")),
            None => error.with_hint(hint),
        });
    }
    let listed: Vec<String> = given.fields().iter().map(|field| field.name().clone()).collect();
    planned.plan = by_name(planned.plan, &schema_evolution::with_added(table, &added), &listed)?;
    let alteration = (!added.is_empty()).then(|| Alteration::AddColumns(schema_evolution::new_columns(&added)));
    Ok((planned, alteration))
}

/// Puts the columns of the plan in the order of the table. `targets` has the table's column for each of them.
fn by_name(plan: LogicalPlan, table: &SchemaRef, targets: &[String]) -> Result<LogicalPlan> {
    let given: Vec<PlanColumn> = plan.schema().iter().map(PlanColumn::from).collect();
    let mut sources = vec![None; table.fields().len()];
    for (column, target) in given.into_iter().zip(targets) {
        let at = table.fields().iter().position(|field| field.name().eq_ignore_ascii_case(target));
        let at =
            at.ok_or_else(|| Error::new(ErrorCode::UnresolvedColumn, format!("the table has no column `{target}`")))?;
        if sources[at].replace(column).is_some() {
            return Err(Error::new(ErrorCode::InvalidAssignment, format!("the column `{target}` is given twice")));
        }
    }
    let expressions = sources.into_iter().zip(table.fields()).map(|(source, field)| match source {
        Some(column) => Ok(EngineExpr::Column(column).alias(field.name())),
        None => {
            let null = ScalarValue::try_from(field.data_type())?;
            Ok(EngineExpr::Literal(null, None).alias(field.name()))
        }
    });
    let expressions = expressions.collect::<std::result::Result<Vec<_>, datafusion::error::DataFusionError>>()?;
    Ok(LogicalPlanBuilder::from(plan).project(expressions)?.build()?)
}

/// VALIDATE: does everything except the commit, and returns the first rows.
async fn validation_rows(
    session: &Session,
    copy: &CopyInto,
    validate: &Validate,
    name: &TableName,
    table: &SchemaRef,
    objects: &[ObjectMeta],
) -> Result<Rows> {
    let limited = |planned: &mut Planned, rows: u64| -> Result<()> {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        planned.plan = LogicalPlanBuilder::from(planned.plan.clone()).limit(0, Some(rows))?.build()?;
        Ok(())
    };
    let (mut planned, alteration) = plan(session, copy, table, objects).await?;
    if let Validate::Rows(rows) = validate {
        limited(&mut planned, *rows)?;
    }
    let mut request = WriteRequest::new(session.warehouse().location(name).await?, WriteKind::Append);
    request.alteration = alteration;
    rows::run_without_commit(planned, request).await?;
    let (mut shown, _) = plan(session, copy, table, objects).await?;
    let shown_max = match validate {
        Validate::All => PREVIEW_ROWS_MAX,
        Validate::Rows(rows) => (*rows).min(PREVIEW_ROWS_MAX),
    };
    limited(&mut shown, shown_max)?;
    rows::start(shown).await
}
