//! What files of a table look like: derived from its definition when it is made, from its log when it is there.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use deltalake::DeltaTable;
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake::kernel::transaction::PROTOCOL;
use deltalake::kernel::{Metadata, MetadataValue, StructType};
use deltalake::table::state::DeltaTableState;

use super::conform::Rule;
use super::error::delta_error;
use super::location::TableLocation;
use super::partition::file_schema;
use super::properties::{TARGET_FILE_SIZE, file_size_bytes};
use super::protocol::CONSTRAINT_PREFIX;
use super::statistics::IndexedColumns;
use super::write::WriteTarget;
use super::{WriteKind, WriteRequest, types};
use pinsql_base::error::{Error, ErrorCode, Result};

const TARGET_FILE_BYTES_DEFAULT: u64 = 128 << 20;

const INVARIANT_KEY: &str = "delta.invariants";
const GENERATION_KEY: &str = "delta.generationExpression";

#[derive(Debug)]
pub(super) struct Shape {
    pub(super) schema: SchemaRef,
    pub(super) partition_columns: Vec<String>,
    pub(super) rules: Vec<Rule>,
    indexed: IndexedColumns,
    target_file_bytes: u64,
}

impl Shape {
    pub(super) fn of(request: &WriteRequest, base: Option<&DeltaTable>) -> Result<Self> {
        let name = request.location.name();
        match (&request.kind, base) {
            (WriteKind::Create(definition), _) | (WriteKind::CreateOrReplace(definition), None) => {
                Self::of_metadata(name, &definition.metadata()?)
            }
            (WriteKind::CreateOrReplace(definition), Some(table)) => {
                ensure_writable(name, state_of(name, table)?)?;
                Self::of_metadata(name, &definition.metadata()?)
            }
            (WriteKind::Append | WriteKind::Overwrite, Some(table)) => {
                let state = state_of(name, table)?;
                ensure_writable(name, state)?;
                match &request.alteration {
                    Some(alteration) => Self::of_metadata(name, &alteration.altered(state.metadata())?.0),
                    None => Self::of_metadata(name, state.metadata()),
                }
            }
            (WriteKind::Append | WriteKind::Overwrite, None) => {
                Err(Error::new(ErrorCode::TableOrViewNotFound, format!("there is no table {name}")))
            }
        }
    }

    /// For those who only read: whether the table can be written is not checked.
    pub(super) fn plain(name: &str, metadata: &Metadata) -> Result<Self> {
        Self::of_metadata(name, metadata)
    }

    fn of_metadata(name: &str, metadata: &Metadata) -> Result<Self> {
        let properties = metadata.configuration();
        Ok(Self {
            schema: table_schema(name, metadata)?,
            partition_columns: metadata.partition_columns().to_vec(),
            rules: rules(name, metadata)?,
            indexed: indexed_columns(properties),
            target_file_bytes: properties
                .get(TARGET_FILE_SIZE)
                .and_then(|size| file_size_bytes(size))
                .unwrap_or(TARGET_FILE_BYTES_DEFAULT),
        })
    }

    pub(super) fn target_file_bytes(&self) -> u64 {
        self.target_file_bytes
    }

    /// Two files below this size fit into one, so they are worth merging.
    pub(super) fn merged_below_bytes(&self) -> u64 {
        self.target_file_bytes / 2
    }

    /// Whether files keep bounds of a column, given by its dotted path: of a type that has an order.
    pub(super) fn indexes(&self, path: &str) -> bool {
        let mut parts = path.split('.');
        let root = parts.next().unwrap_or_default();
        let files = file_schema(&self.schema, &self.partition_columns);
        let Ok(index) = files.index_of(root) else { return false };
        let mut data_type = files.field(index).data_type();
        for part in parts {
            let DataType::Struct(fields) = data_type else { return false };
            let Some((_, field)) = fields.find(part) else { return false };
            data_type = field.data_type();
        }
        let is_ordered = !data_type.is_nested() && !matches!(data_type, DataType::Boolean | DataType::Binary);
        is_ordered && self.indexed.includes(index, path)
    }

    pub(super) fn target(&self, location: &TableLocation) -> WriteTarget {
        self.target_of(location, &self.schema)
    }

    /// The same for files with these columns.
    pub(super) fn target_of(&self, location: &TableLocation, schema: &Schema) -> WriteTarget {
        WriteTarget::new(
            location.table_store(),
            schema,
            self.partition_columns.clone(),
            self.indexed.clone(),
            self.target_file_bytes,
        )
    }
}

/// The columns of a table as files have them.
pub(super) fn table_schema(name: &str, metadata: &Metadata) -> Result<SchemaRef> {
    let broken =
        |error| Error::new(ErrorCode::InvalidDeltaLog, format!("the schema of {name} cannot be read")).caused_by(error);
    let schema = metadata.parse_schema().map_err(|error| broken(error.to_string()))?;
    let arrow: Schema = (&schema).try_into_arrow().map_err(|error| broken(error.to_string()))?;
    Ok(Arc::new(without_metadata(&arrow)))
}

fn state_of<'a>(name: &str, table: &'a DeltaTable) -> Result<&'a DeltaTableState> {
    table.snapshot().map_err(|error| delta_error(&format!("read the table {name}"), error))
}

/// Comments and Delta's own keys belong to the log. In files they would only differ from one engine to the next.
fn without_metadata(schema: &Schema) -> Schema {
    let bare = schema
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), types::without_metadata(field.data_type()), field.is_nullable()));
    Schema::new(bare.collect::<Vec<_>>())
}

/// Refuses by name what this writer would get wrong.
fn ensure_writable(name: &str, state: &DeltaTableState) -> Result<()> {
    PROTOCOL.can_write_to(state).map_err(|error| delta_error(&format!("write the table {name}"), error.into()))?;
    refuse_variants(name, state)?;
    let mapping = state.metadata().configuration().get("delta.columnMapping.mode");
    if mapping.is_some_and(|mode| mode != "none") {
        return Err(unwritable(name, "column mapping"));
    }
    let schema = parsed(name, state.metadata())?;
    if schema.fields().any(|field| field.metadata().contains_key(GENERATION_KEY)) {
        return Err(unwritable(name, "generated columns"));
    }
    Ok(())
}

/// Refuses tables with VARIANT columns, which deltalake gives as the bytes that they are encoded in.
pub(super) fn refuse_variants(name: &str, state: &DeltaTableState) -> Result<()> {
    let mut features = state.protocol().reader_features().into_iter().flatten().map(ToString::to_string);
    match features.find(|feature| feature.starts_with("variant")) {
        Some(feature) => Err(Error::new(
            ErrorCode::UnsupportedTableFeature,
            format!("cannot read the table {name}: it uses Delta features that pinsql does not have: {feature}"),
        )
        .with_hint("a writer such as Spark can make a table of it without its VARIANT columns")),
        None => Ok(()),
    }
}

/// Refuses tables in which a row may be gone though its file is there, for what looks at files alone.
pub(super) fn refuse_deletion_vectors(name: &str, state: &DeltaTableState) -> Result<()> {
    let mut features = state.protocol().reader_features().into_iter().flatten();
    match features.any(|feature| feature.to_string() == "deletionVectors") {
        true => Err(Error::new(
            ErrorCode::UnsupportedTableFeature,
            format!("the table {name} uses deletionVectors, with which pinsql cannot do this"),
        )
        .with_hint("a writer such as Spark can drop them with ALTER TABLE … DROP FEATURE deletionVectors")),
        false => Ok(()),
    }
}

fn unwritable(name: &str, feature: &str) -> Error {
    Error::new(
        ErrorCode::UnsupportedTableFeature,
        format!("cannot write the table {name}: it has {feature}, which pinsql reads but does not write"),
    )
}

fn parsed(name: &str, metadata: &Metadata) -> Result<StructType> {
    metadata.parse_schema().map_err(|error| {
        Error::new(ErrorCode::InvalidDeltaLog, format!("the schema of {name} cannot be read"))
            .caused_by(error.to_string())
    })
}

fn rules(name: &str, metadata: &Metadata) -> Result<Vec<Rule>> {
    let mut rules: Vec<Rule> = metadata
        .configuration()
        .iter()
        .filter_map(|(key, sql)| Some(Rule { name: key.strip_prefix(CONSTRAINT_PREFIX)?.to_owned(), sql: sql.clone() }))
        .collect();
    for field in parsed(name, metadata)?.fields() {
        if let Some(value) = field.metadata().get(INVARIANT_KEY) {
            let sql = invariant_sql(value).ok_or_else(|| {
                Error::new(
                    ErrorCode::InvalidDeltaLog,
                    format!("the invariant of the column {} of {name} cannot be read: {value}", field.name()),
                )
            })?;
            rules.push(Rule { name: format!("invariant of {}", field.name()), sql });
        }
    }
    rules.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(rules)
}

/// `{"expression":{"expression":"x > 3"}}`, as the protocol nests it.
fn invariant_sql(value: &MetadataValue) -> Option<String> {
    let MetadataValue::String(text) = value else { return None };
    let parsed: serde_json::Value = serde_json::from_str(text).ok()?;
    parsed.pointer("/expression/expression")?.as_str().map(str::to_owned)
}

fn indexed_columns(properties: &HashMap<String, String>) -> IndexedColumns {
    if let Some(names) = properties.get("delta.dataSkippingStatsColumns") {
        let names = names.split(',').map(|name| name.trim().replace('`', ""));
        return IndexedColumns::Named(names.collect::<BTreeSet<_>>());
    }
    let count = properties.get("delta.dataSkippingNumIndexedCols").and_then(|count| count.parse::<i64>().ok());
    match count {
        None => IndexedColumns::DEFAULT,
        Some(count) => usize::try_from(count).map_or(IndexedColumns::All, IndexedColumns::First),
    }
}
