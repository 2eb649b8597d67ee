//! The schema in a table's metadata: Delta's own, and the Arrow schema that data files have.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake::kernel::{Metadata, StructType};

use crate::spec::types;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The schema in a table's metadata. `name` is the table's, for the error.
pub(crate) fn parsed_schema(name: &str, metadata: &Metadata) -> Result<StructType> {
    metadata.parse_schema().map_err(|error| broken(name, error.to_string()))
}

/// The columns of a table as Arrow has them, without the metadata of fields: comments and Delta's own keys belong to the log, and
/// would only differ from one engine to the next.
pub(crate) fn table_schema(name: &str, metadata: &Metadata) -> Result<SchemaRef> {
    let schema = parsed_schema(name, metadata)?;
    let arrow: Schema = (&schema).try_into_arrow().map_err(|error| broken(name, error.to_string()))?;
    let bare = arrow
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), types::without_metadata(field.data_type()), field.is_nullable()));
    Ok(Arc::new(Schema::new(bare.collect::<Vec<_>>())))
}

pub(crate) fn broken(name: &str, error: String) -> Error {
    Error::new(ErrorCode::InvalidDeltaLog, format!("the schema of {name} cannot be read")).caused_by(error)
}
