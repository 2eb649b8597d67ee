//! The change data feed of a table: `table_changes`.
//!
//! The rules are those of Delta. A commit that rewrote rows (UPDATE, DELETE, MERGE) has change files with one row for each
//! change. If a commit has change files, only they count. In any other commit, the added files hold inserted rows and the removed
//! files hold deleted rows, unless the commit changed no row (OPTIMIZE). The rows have the columns of the newest version. A
//! version whose columns do not fit is an error.
//!
//! The leaves of the plan are ordinary Parquet scans, so a large range is read in parallel like any table.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use deltalake::DeltaTable;
use deltalake::kernel::{Action, Metadata};

use crate::error::delta_error;
use crate::log::versions::{AsOf, Versions};
use crate::log::{self, Commit};
use crate::read::parquet_scan::{self, ParquetScan, data_file};
use crate::spec::features::{Access, has_change_data_feed, require};
use crate::spec::partition_values::{file_schema, value_of};
use crate::spec::schema::table_schema;
use crate::storage::location::TableLocation;
use crate::table::open::state_of;
use crate::table::shape::Shape;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::schema::timestamp;

const CHANGE_TYPE: &str = "_change_type";
const COMMIT_VERSION: &str = "_commit_version";
const COMMIT_TIMESTAMP: &str = "_commit_timestamp";

/// The requested range of versions. Both ends are included.
#[derive(Debug, Clone, Copy)]
pub struct ChangeRange {
    /// The first version, or a time at or before it.
    pub start: AsOf,
    /// The last version. `None` means the newest.
    pub end: Option<AsOf>,
}

/// The changes of `table` in a range of versions, as a table for queries.
///
/// Fails if the feed was off in a version of the range, if the log no longer has one of its commits, or if the columns changed.
pub async fn changes(
    location: &TableLocation,
    table: &DeltaTable,
    range: ChangeRange,
) -> Result<Arc<dyn TableProvider>> {
    let name = location.name();
    let shape = readable_shape(name, table)?;
    let versions = Versions::of(location, table).await?;
    let (first, last) = resolve(name, &versions, range)?;
    let count = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
    let commits = log::since(location, first.checked_sub(1), count).await?;
    if commits.len() < count {
        return Err(not_recorded(name, first + commits.len() as u64, "the log no longer has it"));
    }
    require_feed_before(location, first).await?;
    let files_schema = Schema::new(file_schema(&shape.schema, &shape.partition_columns).fields().clone());
    let mut files = Files { location, shape: &shape, inferred: Vec::new(), recorded: Vec::new() };
    for commit in &commits {
        check_definition(name, &shape.schema, commit)?;
        let time_ms = versions.time_ms(commit.version).unwrap_or_default();
        files.add(commit, time_ms)?;
    }
    let (inferred, recorded) = (files.inferred, files.recorded);
    Ok(Arc::new(ChangesTable::new(location, &shape, files_schema, inferred, recorded)?))
}

fn readable_shape(name: &str, table: &DeltaTable) -> Result<Shape> {
    let state = state_of(name, table)?;
    require(Access::ReadChanges, name, state.protocol(), state.metadata())?;
    Shape::plain(name, state.metadata())
}

/// The first and the last version of a range, as in Delta: a start after the newest version is an error, an end after
/// it means the newest.
fn resolve(name: &str, versions: &Versions, range: ChangeRange) -> Result<(u64, u64)> {
    let first = match range.start {
        AsOf::Version(version) if version <= versions.latest() => version,
        AsOf::Version(_) => return versions.resolve(range.start).map(|version| (version, version)),
        AsOf::Timestamp(micros) => match versions.at_or_after(micros) {
            Some(version) => version,
            None => return versions.resolve(range.start).map(|version| (version, version)),
        },
    };
    let last = match range.end {
        None => versions.latest(),
        Some(AsOf::Version(version)) => version.min(versions.latest()),
        Some(AsOf::Timestamp(micros)) => match versions.last_before(micros) {
            Some(version) => version,
            None => return versions.resolve(AsOf::Timestamp(micros)).map(|version| (version, version)),
        },
    };
    match first <= last {
        true => Ok((first, last)),
        false => Err(Error::new(
            ErrorCode::InvalidTableVersion,
            format!("the changes of {name} cannot begin at version {first} and end at version {last}"),
        )
        .with_hint("table_changes('table', start, end): the start is not after the end")),
    }
}

fn not_recorded(name: &str, version: u64, why: &str) -> Error {
    let said = format!("the changes of version {version} of {name} are not recorded: {why}");
    Error::new(ErrorCode::ChangesNotRecorded, said).with_hint(
        "ALTER TABLE … SET TBLPROPERTIES (delta.enableChangeDataFeed = true) records those that follow; \
         begin the range behind it",
    )
}

/// The feed must be on in the first version of the range.
async fn require_feed_before(location: &TableLocation, first: u64) -> Result<()> {
    // The version that created the table has its own Metadata action, which `check_definition` checks.
    let table = location.open_version(first).await?;
    let state = table.snapshot().map_err(|error| delta_error(&format!("read the table {}", location.name()), error))?;
    require_feed(location.name(), first, state.metadata())
}

fn require_feed(name: &str, version: u64, metadata: &Metadata) -> Result<()> {
    if has_change_data_feed(metadata.configuration()) {
        Ok(())
    } else {
        Err(not_recorded(name, version, "delta.enableChangeDataFeed is not on there"))
    }
}

/// A version that changes the definition must leave the feed on, and its columns must be in the newest version.
fn check_definition(name: &str, newest: &SchemaRef, commit: &Commit) -> Result<()> {
    for action in &commit.actions {
        let Action::Metadata(metadata) = action else { continue };
        require_feed(name, commit.version, metadata)?;
        let then = table_schema(name, metadata)?;
        let misfit = then.fields().iter().find(|field| {
            newest.field_with_name(field.name()).map_or(true, |now| !now.data_type().equals_datatype(field.data_type()))
        });
        if let Some(field) = misfit {
            let said = format!(
                "the changes of {name} cannot be read across version {}: its column {} is not in the newest version, \
                 or is of another type",
                commit.version,
                field.name()
            );
            return Err(Error::new(ErrorCode::IncompatibleSchema, said)
                .with_hint("read the ranges before and after it one by one, each from a table of its own version"));
        }
    }
    Ok(())
}

/// The files of the range: data files whose rows all have one change type (`inferred`), and change files (`recorded`).
struct Files<'a> {
    location: &'a TableLocation,
    shape: &'a Shape,
    inferred: Vec<PartitionedFile>,
    recorded: Vec<PartitionedFile>,
}

impl Files<'_> {
    fn add(&mut self, commit: &Commit, time_ms: i64) -> Result<()> {
        let version = i64::try_from(commit.version).unwrap_or(i64::MAX);
        let moment = ScalarValue::TimestampMicrosecond(Some(time_ms.saturating_mul(1_000)), Some("UTC".into()));
        let end = [ScalarValue::Int64(Some(version)), moment];
        let is_recorded = commit.actions.iter().any(|action| matches!(action, Action::Cdc(_)));
        for action in &commit.actions {
            match action {
                Action::Cdc(file) => {
                    let values = self.values(|column| file.partition_values.get(column).cloned().flatten())?;
                    let file = self.file(&file.path, file.size, values, &end)?;
                    self.recorded.push(file);
                }
                Action::Add(file) if file.data_change && !is_recorded => {
                    let mut values = self.values(|column| file.partition_values.get(column).cloned().flatten())?;
                    values.push(ScalarValue::from("insert"));
                    let file = self.file(&file.path, file.size, values, &end)?;
                    self.inferred.push(file);
                }
                Action::Remove(file) if file.data_change && !is_recorded => {
                    let known = file.partition_values.as_ref();
                    let mut values = self.values(|column| known?.get(column).cloned().flatten())?;
                    values.push(ScalarValue::from("delete"));
                    let Some(size) = file.size.filter(|_| known.is_some() || self.shape.partition_columns.is_empty())
                    else {
                        let said = format!(
                            "version {} of {} removes a file of which it says neither the size nor the partition",
                            commit.version,
                            self.location.name()
                        );
                        return Err(Error::new(ErrorCode::InvalidDeltaLog, said));
                    };
                    let file = self.file(&file.path, size, values, &end)?;
                    self.inferred.push(file);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn values(&self, text: impl Fn(&str) -> Option<String>) -> Result<Vec<ScalarValue>> {
        let value = |column: &String| {
            let data_type =
                self.shape.schema.field_with_name(column).map_or(&DataType::Utf8, |field| field.data_type());
            value_of(text(column).as_deref(), data_type)
        };
        let values = self.shape.partition_columns.iter().map(value).collect::<EngineResult<_>>();
        values.map_err(|error| {
            Error::new(ErrorCode::InvalidDeltaLog, format!("a partition of {} cannot be read", self.location.name()))
                .caused_by(error)
        })
    }

    fn file(&self, path: &str, size: i64, values: Vec<ScalarValue>, end: &[ScalarValue]) -> Result<PartitionedFile> {
        let mut file = data_file(self.location, path, size.unsigned_abs())?;
        file.partition_values = values.into_iter().chain(end.iter().cloned()).collect();
        Ok(file)
    }
}

fn change_type() -> Field {
    Field::new(CHANGE_TYPE, DataType::Utf8, true)
}

fn commit_columns() -> [Field; 2] {
    [Field::new(COMMIT_VERSION, DataType::Int64, true), Field::new(COMMIT_TIMESTAMP, timestamp(), true)]
}

/// The schema of `table_changes` for a table with these columns: the columns, `_change_type`, `_commit_version` and
/// `_commit_timestamp`. Every column is nullable.
pub fn changes_schema(columns: &Schema) -> Schema {
    // A deleted row may be older than a rule of the table: every column may be NULL.
    let columns = columns.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Schema::new(columns.chain([change_type()]).chain(commit_columns()).collect::<Vec<_>>())
}

#[derive(Debug)]
struct ChangesTable {
    schema: SchemaRef,
    scans: Vec<ParquetScan>,
}

impl ChangesTable {
    fn new(
        location: &TableLocation,
        shape: &Shape,
        files_schema: Schema,
        inferred: Vec<PartitionedFile>,
        recorded: Vec<PartitionedFile>,
    ) -> Result<Self> {
        let schema = Arc::new(changes_schema(&shape.schema));
        let change_type = Arc::new(change_type());
        let end = commit_columns().map(Arc::new);
        let partitions = shape.partition_columns.iter().filter_map(|name| shape.schema.field_with_name(name).ok());
        let partitions: Vec<_> = partitions.map(|field| Arc::new(field.clone().with_nullable(true))).collect();
        let columns = files_schema.fields().iter().map(|field| Arc::new(field.as_ref().clone().with_nullable(true)));
        let columns: Vec<_> = columns.collect();
        let store = store_url(location)?;
        let scan = |file: Vec<Arc<Field>>, constants: Vec<Arc<Field>>, files| ParquetScan {
            store: store.clone(),
            file_schema: Arc::new(Schema::new(file)),
            constants,
            files,
        };
        let with = |mut fields: Vec<Arc<Field>>, more: &[Arc<Field>]| {
            fields.extend(more.iter().cloned());
            fields
        };
        let type_and_end = [&[Arc::clone(&change_type)], end.as_slice()].concat();
        let scans = vec![
            scan(columns.clone(), with(partitions.clone(), &type_and_end), inferred),
            scan(with(columns, &[change_type]), with(partitions, &end), recorded),
        ];
        Ok(Self { schema, scans })
    }
}

fn store_url(location: &TableLocation) -> Result<ObjectStoreUrl> {
    parquet_scan::store_url(location).map_err(Error::from)
}

impl TableProvider for ChangesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    pinsql_base::scan_by_plan!();
}

impl ChangesTable {
    /// [`TableProvider::scan`], which does not wait for anything here.
    fn plan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => self.schema(),
        };
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let plan = |scan: &ParquetScan| scan.plan(&names, limit, state.config());
        let mut plans = self
            .scans
            .iter()
            .filter(|scan| !scan.files.is_empty())
            .map(plan)
            .collect::<Result<Vec<_>, DataFusionError>>()?;
        match plans.len() {
            0 => Ok(Arc::new(EmptyExec::new(schema))),
            1 => Ok(plans.remove(0)),
            _ => UnionExec::try_new(plans),
        }
    }
}
