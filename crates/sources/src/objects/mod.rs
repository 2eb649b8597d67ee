//! `read_files`: objects in S3 and files in folders, as a table or as a stream.
//!
//! There are three entries, all with [`ReadFiles`] as their options:
//!
//! - [`plan_scan`] plans a scan. [`ScanObjects`] says which objects it reads: those that the path matches, a given list, or the
//!   objects of one micro-batch;
//! - [`open_stream`] opens `STREAM read_files`, which finds each object once;
//! - [`infer_schema`] returns the columns that a scan would have.
//!
//! The modules, in the order in which data passes through them:
//!
//! - planning: `options` and `given` parse the options, `location` the path. `listing` finds the objects (`listed` for COPY
//!   INTO), and `delta` refuses the files of Delta tables. `sample`, `csv` and `parquet` infer a schema. `resolve` decides format
//!   and columns. `bundle` distributes the objects over partitions. `table` plans the scan, and `prune` leaves out objects that a
//!   condition excludes;
//! - running: `record_source` opens bundles (`record_scan` is what all partitions share). `read_ahead` fetches bytes.
//!   `piece_reader` and `decompress` cut and decompress them, and `content` finds what is not text. `bundle_reader` turns records
//!   into batches with the `decoders` of `pinsql_json`, and sends records that it cannot read to the rejects. `columns` adds the
//!   columns of objects. Parquet uses DataFusion's reader;
//! - `notices`: what a scan reports about fields and objects that it does not read;
//! - `kept` and `places`: the position and the bytes of each record, for records that an operator above the scan rejects;
//! - `stream`: new objects as micro-batches;
//! - `limits`: how much memory all this may use.
//!
//! Deliberately absent: DataFusion's `ListingTable` (its cache of listings never expires, and its JSON reader stops at the first
//! bad record), and any writing.

mod bundle;
mod bundle_reader;
mod columns;
mod content;
mod csv;
mod decoders;
mod decompress;
mod delta;
mod given;
mod kept;
mod limits;
mod listed;
mod listing;
mod location;
mod notices;
mod options;
mod parquet;
mod piece_reader;
mod places;
mod prune;
mod read_ahead;
mod record_scan;
mod record_source;
mod resolve;
mod sample;
mod stream;
mod table;
mod taken;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::execution::SessionState;
use datafusion::scalar::ScalarValue;
use object_store::ObjectMeta;

use bundle::Packing;
pub use columns::METADATA as METADATA_COLUMN;
use limits::Limits;
pub use listed::{FileChoice, ListedFile, list_files};
use listing::Listing;
use location::Location;
pub use notices::notices;
use options::Options;
pub use options::option_names;
pub use places::{KeepingPlaces, keeping_places, path_of, with_rejects};
use record_source::RecordSource;
use stream::FilesStream;

use crate::stream::StreamSource;
use pinsql_base::error::Result;
use pinsql_base::rejects::Rejects;

/// One call of `read_files` with its evaluated arguments.
#[derive(Debug, Clone)]
pub struct ReadFiles {
    /// A URL or a path of an object, a folder, or a pattern.
    pub path: String,
    /// The options, by name as written in the SQL. Names are not case-sensitive.
    pub options: BTreeMap<String, ScalarValue>,
    /// True if the SQL names `_metadata`. The column is then the last in the schema of the table; otherwise it is absent.
    pub with_metadata: bool,
}

impl ReadFiles {
    /// True if the option `schema` is given, so that the columns are known without reading a file.
    pub fn declares_schema(&self) -> bool {
        self.options.keys().any(|name| name.eq_ignore_ascii_case("schema"))
    }

    /// An empty table with the declared columns, for checking a statement without its files.
    pub fn declared_table(&self) -> Result<Arc<dyn TableProvider>> {
        let options = Options::parse(&self.options)?;
        let (schema, _) = resolve::table_columns(None, Vec::new(), &options, self.with_metadata)?;
        Ok(Arc::new(EmptyTable::new(Arc::new(schema))))
    }
}

/// The objects that a scan reads.
#[derive(Debug, Clone)]
pub enum ScanObjects {
    /// All objects that the path matches now. It is an error if there are none.
    Matching,
    /// Exactly these objects, as [`list_files`] returned them. The format and the columns come from them.
    Listed(Vec<ObjectMeta>),
    /// The objects of one micro-batch of [`open_stream`], with the columns of the stream.
    MicroBatch { objects: Vec<ObjectMeta>, schema: SchemaRef },
}

/// What a source needs from the session and the statement.
#[derive(Clone)]
pub struct SourceEnvironment {
    /// Gives the object store of a URL, and the settings of DataFusion's readers.
    pub state: Arc<SessionState>,
    /// Receives the records that cannot be read.
    pub rejects: Rejects,
    packing: Packing,
    limits: Limits,
}

impl std::fmt::Debug for SourceEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceEnvironment").field("rejects", &self.rejects).finish_non_exhaustive()
    }
}

impl SourceEnvironment {
    /// Derives the partitions and the memory limits of scans from the session.
    pub fn new(state: impl Into<Arc<SessionState>>, rejects: Rejects) -> Self {
        let state: Arc<SessionState> = state.into();
        let packing = Packing::new(state.config().target_partitions());
        let limits = Limits::within(state.runtime_env().memory_pool.as_ref(), packing.target_partitions);
        Self { state, rejects, packing, limits }
    }
}

/// Plans a scan: lists the objects where necessary, and finds their format and columns. Records are read only when the table is
/// scanned.
///
/// The object store of the path must be known to the session. Errors are about the options, the path, a listing that fails or is
/// empty, and a schema that cannot be inferred.
pub async fn plan_scan(
    mut call: ReadFiles,
    objects: ScanObjects,
    environment: &SourceEnvironment,
) -> Result<Arc<dyn TableProvider>> {
    if matches!(objects, ScanObjects::MicroBatch { .. }) {
        // The options of the stream mean nothing to a scan of its objects.
        stream::StreamOptions::take(&mut call.options)?;
    }
    let mut options = Options::parse(&call.options)?;
    if let ScanObjects::MicroBatch { schema, .. } = &objects {
        let of_records =
            schema.fields().iter().filter(|field| !(call.with_metadata && field.name() == METADATA_COLUMN));
        options.schema = Some(Schema::new(of_records.cloned().collect::<Vec<_>>()));
    }
    let location = Location::parse(&call.path)?;
    let storage = resolve::open_storage(&location, environment)?;
    let objects = match objects {
        ScanObjects::Matching => {
            let listing = listing::list(storage.store.as_ref(), &location, &options.selection).await?;
            delta::refuse(&storage, &location, options.format, &listing).await?;
            listing
        }
        ScanObjects::Listed(objects) | ScanObjects::MicroBatch { objects, .. } => Listing::of(objects),
    };
    resolve::table_of(call, options, location, storage, objects, environment).await
}

/// Opens `STREAM read_files`: checks the options, and finds the columns. Without a declared schema it infers one from the objects
/// that exist now.
pub async fn open_stream(call: ReadFiles, environment: &SourceEnvironment) -> Result<Arc<dyn StreamSource>> {
    Ok(Arc::new(FilesStream::open(call, environment).await?))
}

/// The columns that a scan of `objects` would have: those of the records, of the folders, and `_metadata` if it is named. Errors
/// as in [`plan_scan`].
pub async fn infer_schema(call: ReadFiles, objects: ScanObjects, environment: &SourceEnvironment) -> Result<SchemaRef> {
    Ok(plan_scan(call, objects, environment).await?.schema())
}

/// The path in the SQL of a scan of JSON or CSV, or None if `config` is a scan of something else.
pub fn source_path(config: &FileScanConfig) -> Option<String> {
    config.file_source.downcast_ref::<RecordSource>().map(|source| source.path().to_owned())
}
