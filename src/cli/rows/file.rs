//! A file with rows. Its ending chooses the format.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::datatypes::{DataType, Schema};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::{Format, write_rows};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::schema::type_name;

const HINT: &str = "the endings are .csv, .tsv, .json, .ndjson, .md, .txt and .parquet";

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileFormat {
    Rows(Format),
    /// The format of `.mode`: for `.txt`, and for a name without an ending.
    Shown,
    Parquet,
}

impl FileFormat {
    /// The format for the ending of a path.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        Ok(match ending.as_deref() {
            Some("csv") => Self::Rows(Format::Csv),
            Some("tsv") => Self::Rows(Format::Tsv),
            Some("json") => Self::Rows(Format::Json),
            Some("ndjson" | "jsonl") => Self::Rows(Format::Ndjson),
            Some("md" | "markdown") => Self::Rows(Format::Markdown),
            Some("parquet") => Self::Parquet,
            Some("txt" | "log") | None => Self::Shown,
            Some(other) => {
                let error = Error::usage(format!("rows cannot be written as `.{other}`"));
                return Err(match other {
                    "xlsx" | "xls" | "ods" => error.with_hint("a spreadsheet opens .csv"),
                    _ => error.with_hint(HINT),
                });
            }
        })
    }
}

/// A file for results.
#[derive(Debug)]
pub(crate) struct ResultFile {
    pub(crate) path: PathBuf,
    format: FileFormat,
    file: BufWriter<File>,
}

impl ResultFile {
    /// Creates the file, or truncates it.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let format = FileFormat::of(path)?;
        let file = File::create(path).map_err(|error| {
            Error::new(ErrorCode::InvalidLocation, format!("the file {} cannot be written", path.display()))
                .caused_by(error)
        })?;
        Ok(Self { path: path.to_owned(), format, file: BufWriter::new(file) })
    }

    /// The same, for several results. A Parquet file has one.
    pub(crate) fn for_all(path: &Path) -> Result<Self> {
        match FileFormat::of(path)? {
            FileFormat::Parquet => Err(Error::usage("a Parquet file holds one result")
                .with_hint(format!(".once {} writes the next result", path.display()))),
            _ => Self::create(path),
        }
    }

    /// Writes a result and returns its number of rows. `shown` is the format of `.mode`.
    pub(crate) async fn write(&mut self, rows: SendableRecordBatchStream, shown: Format) -> Result<u64> {
        let count = match self.format {
            FileFormat::Rows(format) => write_rows(rows, format, &mut self.file).await?,
            FileFormat::Shown => write_rows(rows, shown, &mut self.file).await?,
            FileFormat::Parquet => {
                let written = write_parquet(rows, &mut self.file).await;
                if written.is_err() {
                    // Without its end, the file is no Parquet file.
                    let _ = fs::remove_file(&self.path);
                }
                written?
            }
        };
        self.file.flush().map_err(|error| {
            Error::new(ErrorCode::OutputFailure, format!("the file {} cannot be written", self.path.display()))
                .caused_by(error)
        })?;
        Ok(count)
    }
}

async fn write_parquet(mut rows: SendableRecordBatchStream, out: &mut (impl Write + Send)) -> Result<u64> {
    let schema = rows.schema();
    expect_storable(&schema)?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = ArrowWriter::try_new(out, schema, Some(properties)).map_err(failed)?;
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        count += batch.num_rows() as u64;
        writer.write(&batch).map_err(failed)?;
    }
    writer.close().map_err(failed)?;
    Ok(count)
}

fn failed(error: parquet::errors::ParquetError) -> Error {
    Error::new(ErrorCode::OutputFailure, "the Parquet file cannot be written").caused_by(io::Error::other(error))
}

/// Other readers do not read columns without a type or of an interval, and find no column by a name that two have.
fn expect_storable(schema: &Schema) -> Result<()> {
    for (place, field) in schema.fields().iter().enumerate() {
        let name = field.name();
        if !is_storable(field.data_type()) {
            let what =
                format!("the column `{name}` of type {} cannot be in a Parquet file", type_name(field.data_type()));
            let hint = format!("CAST({name} AS STRING) AS {name}");
            return Err(Error::new(ErrorCode::DatatypeMismatch, what).with_hint(hint));
        }
        if schema.fields()[..place].iter().any(|other| other.name().eq_ignore_ascii_case(name)) {
            return Err(Error::new(ErrorCode::InvalidValue, format!("two columns are named `{name}`"))
                .with_hint("rename one with AS"));
        }
    }
    Ok(())
}

fn is_storable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Null | DataType::Interval(_) | DataType::Duration(_) => false,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => is_storable(item.data_type()),
        DataType::Struct(fields) => !fields.is_empty() && fields.iter().all(|field| is_storable(field.data_type())),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, NullArray, RecordBatch, StringArray};
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn rows(columns: Vec<(&str, ArrayRef)>) -> (RecordBatch, SendableRecordBatchStream) {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let stream = RecordBatchStreamAdapter::new(batch.schema(), futures::stream::iter([Ok(batch.clone())]));
        (batch, Box::pin(stream))
    }

    #[test]
    fn the_ending_chooses_the_format() {
        let format = |path: &str| FileFormat::of(Path::new(path));
        assert_eq!(format("a/b.CSV").unwrap(), FileFormat::Rows(Format::Csv));
        assert_eq!(format("b.jsonl").unwrap(), FileFormat::Rows(Format::Ndjson));
        assert_eq!(format("b.parquet").unwrap(), FileFormat::Parquet);
        assert_eq!(format("b").unwrap(), FileFormat::Shown);
        assert_eq!(format("b.xlsx").unwrap_err().hint.as_deref(), Some("a spreadsheet opens .csv"));
        assert!(format("b.orc").is_err());
        assert!(ResultFile::for_all(Path::new("b.parquet")).is_err());
    }

    #[tokio::test]
    async fn a_parquet_file_has_the_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.parquet");
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("d", Arc::new(Float64Array::from(vec![Some(f64::INFINITY), None]))),
            ("s", Arc::new(StringArray::from(vec!["a", ""]))),
        ];
        let (batch, stream) = rows(columns);
        let mut file = ResultFile::create(&path).unwrap();
        assert_eq!(file.write(stream, Format::Table).await.unwrap(), 2);
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap().build().unwrap();
        let read: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        assert_eq!(read, [batch]);
    }

    #[tokio::test]
    async fn a_column_without_a_type_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.parquet");
        let (_, stream) = rows(vec![("v", Arc::new(NullArray::new(1)))]);
        let error = ResultFile::create(&path).unwrap().write(stream, Format::Table).await.unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("CAST(v AS STRING) AS v"));
        assert!(!path.exists());
    }
}
