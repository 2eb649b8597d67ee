//! The columns of a table as queries see them, and as data files store them.
//!
//! With column mapping, a file has other names than the table, at every level of nesting, and partition values and statistics in
//! the log use the names of the files too. In mode `id`, a column is found by its field id. Without column mapping, both have the
//! same names.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use deltalake::kernel::Metadata;
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use crate::spec::schema::{broken, parsed_schema};
use crate::spec::types::nullable;
use pinsql_base::error::Result;
use pinsql_base::schema::normalize_type;

const MODE: &str = "delta.columnMapping.mode";
const PHYSICAL_NAME: &str = "delta.columnMapping.physicalName";
const ID: &str = "delta.columnMapping.id";

/// How a data file names a column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mapping {
    None,
    Name,
    Id,
}

/// One column of a table.
#[derive(Debug, Clone)]
pub(crate) struct StoredColumn {
    /// The column in queries. Fields below the first level are nullable: files of other writers have them so.
    pub(crate) column: FieldRef,
    /// The same with the names of the data files. In mode `id`, each field has its id under [`PARQUET_FIELD_ID_META_KEY`].
    pub(crate) stored: FieldRef,
}

/// The columns of a table, in its order.
#[derive(Debug, Clone)]
pub(crate) struct StoredColumns {
    in_files: Vec<StoredColumn>,
    partitions: Vec<StoredColumn>,
    schema: SchemaRef,
}

impl StoredColumns {
    /// The columns of a table without column mapping, with the types that data files have.
    pub(crate) fn plain(schema: &SchemaRef, partition_columns: &[String]) -> Self {
        let same = |field: &FieldRef| StoredColumn { column: Arc::clone(field), stored: Arc::clone(field) };
        let (mut partitions, in_files): (Vec<_>, Vec<_>) =
            schema.fields().iter().map(same).partition(|column| partition_columns.contains(column.column.name()));
        let position = |column: &StoredColumn| partition_columns.iter().position(|name| name == column.column.name());
        partitions.sort_by_key(position);
        Self { in_files, partitions, schema: Arc::clone(schema) }
    }

    /// The columns of the table `name` with this metadata, with the types that queries see.
    pub(crate) fn of(name: &str, metadata: &Metadata) -> Result<Self> {
        let mapping = match metadata.configuration().get(MODE).map(String::as_str) {
            Some("name") => Mapping::Name,
            Some("id") => Mapping::Id,
            _ => Mapping::None,
        };
        let schema: Schema =
            (&parsed_schema(name, metadata)?).try_into_arrow().map_err(|error| broken(name, error.to_string()))?;
        let columns: Vec<StoredColumn> = schema.fields().iter().map(|field| stored_column(field, mapping)).collect();
        let find = |partition: &String| {
            let found = columns.iter().find(|column| column.column.name() == partition);
            found.cloned().ok_or_else(|| broken(name, format!("it has no column {partition}, a partition column")))
        };
        let partitions = metadata.partition_columns().iter().map(find).collect::<Result<_>>()?;
        let is_in_files = |column: &StoredColumn| !metadata.partition_columns().contains(column.column.name());
        let schema = Schema::new(columns.iter().map(|column| Arc::clone(&column.column)).collect::<Vec<_>>());
        let in_files = columns.into_iter().filter(is_in_files).collect();
        Ok(Self { in_files, partitions, schema: Arc::new(schema) })
    }

    /// All columns, as queries see them.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns that data files have.
    pub(crate) fn in_files(&self) -> &[StoredColumn] {
        &self.in_files
    }

    /// The partition columns, in the order of the table's partitioning.
    pub(crate) fn partitions(&self) -> &[StoredColumn] {
        &self.partitions
    }

    /// The columns in the order of a scan: those of the files, then the partition columns.
    pub(crate) fn in_scan(&self) -> impl Iterator<Item = &StoredColumn> {
        self.in_files.iter().chain(&self.partitions)
    }
}

fn stored_column(field: &FieldRef, mapping: Mapping) -> StoredColumn {
    let data_type = nullable(&normalize_type(field.data_type()));
    let column = Field::new(field.name(), without_metadata(&data_type), field.is_nullable());
    let with_type = Field::new(field.name(), data_type, field.is_nullable()).with_metadata(field.metadata().clone());
    StoredColumn { column: Arc::new(column), stored: stored_field(&Arc::new(with_type), mapping) }
}

fn without_metadata(data_type: &DataType) -> DataType {
    map_fields(data_type, &|field| {
        Arc::new(Field::new(field.name(), without_metadata(field.data_type()), field.is_nullable()))
    })
}

fn stored_field(field: &FieldRef, mapping: Mapping) -> FieldRef {
    let physical = field.metadata().get(PHYSICAL_NAME).filter(|_| mapping != Mapping::None);
    let id = field.metadata().get(ID).filter(|_| mapping == Mapping::Id);
    let data_type = map_fields(field.data_type(), &|field| stored_field(field, mapping));
    let metadata = id.map(|id| (PARQUET_FIELD_ID_META_KEY.to_owned(), id.clone()));
    let name = physical.unwrap_or(field.name());
    Arc::new(Field::new(name, data_type, field.is_nullable()).with_metadata(metadata.into_iter().collect()))
}

/// The type with `map` applied to its fields, one level deep.
fn map_fields(data_type: &DataType, map: &dyn Fn(&FieldRef) -> FieldRef) -> DataType {
    match data_type {
        DataType::List(item) => DataType::List(map(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(map).collect()),
        DataType::Map(entries, sorted) => DataType::Map(map(entries), *sorted),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(mapping: Mapping) -> StoredColumn {
        let meta = |name: &str, id: &str| {
            [(PHYSICAL_NAME.to_owned(), name.to_owned()), (ID.to_owned(), id.to_owned())].into_iter().collect()
        };
        let inner = Field::new("text", DataType::Utf8, false).with_metadata(meta("col-2", "2"));
        let item = Field::new("element", DataType::Struct(vec![inner].into()), false);
        let field = Field::new("notes", DataType::List(Arc::new(item)), false).with_metadata(meta("col-1", "1"));
        stored_column(&Arc::new(field), mapping)
    }

    fn text_of(field: &FieldRef) -> &FieldRef {
        let DataType::List(item) = field.data_type() else { panic!() };
        let DataType::Struct(fields) = item.data_type() else { panic!() };
        &fields[0]
    }

    #[test]
    fn names_of_files_are_used_if_the_mapping_is_on() {
        let plain = column(Mapping::None);
        assert_eq!(plain.column, plain.stored);
        assert!(!plain.column.is_nullable() && text_of(&plain.column).is_nullable());
        assert_eq!(text_of(&plain.column).data_type(), &DataType::Utf8View);

        let named = column(Mapping::Name);
        assert_eq!(named.column, plain.column);
        assert_eq!((named.stored.name().as_str(), text_of(&named.stored).name().as_str()), ("col-1", "col-2"));
        assert!(named.stored.metadata().is_empty());
        assert_eq!(text_of(&column(Mapping::Id).stored).metadata()[PARQUET_FIELD_ID_META_KEY], "2");
    }
}
