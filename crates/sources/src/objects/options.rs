//! The options of `read_files`, with the names of Databricks.
//!
//! Each option of Databricks is in one of two lists: supported, or known and refused. So no option is ever ignored. For a name in
//! neither list, the error suggests the nearest name.

use std::collections::BTreeMap;

use arrow::datatypes::{FieldRef, Schema};
use datafusion::scalar::ScalarValue;

use super::given::Given;
use super::listing::Selection;
use pinsql_base::error::{Error, ErrorCode, Result, nearest};
use pinsql_base::schema::parse_schema;
use pinsql_json::Grammar;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Csv,
    Parquet,
}

impl Format {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "json" | "ndjson" | "jsonl" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// The handling of a record that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// No `mode` is given: the record is rejected with its bytes, position and reason.
    Reject,
    /// Spark's PERMISSIVE: a value that does not fit becomes NULL.
    Permissive,
    /// Spark's DROPMALFORMED: the record is left out and counted.
    DropMalformed,
    /// Spark's FAILFAST: the statement fails.
    FailFast,
}

#[derive(Debug, Clone)]
pub(super) struct CsvOptions {
    /// None: the first records of the files show it.
    pub header: Option<bool>,
    /// None: the first records of the files show it.
    pub delimiter: Option<u8>,
    pub quote: Option<u8>,
    pub escape: Option<u8>,
    pub comment: Option<u8>,
    pub null_value: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Options {
    pub format: Option<Format>,
    pub schema: Option<Schema>,
    pub schema_hints: Vec<FieldRef>,
    pub mode: Mode,
    pub corrupt_record_column: String,
    /// None: a JSON record is a line, and a quoted CSV value can contain line ends.
    pub multi_line: Option<bool>,
    /// The grammar of JSON, and one of the options that change it.
    pub grammar: Grammar,
    pub grammar_option: Option<&'static str>,
    pub rescued_column: Option<String>,
    pub infer_timestamp: bool,
    pub timestamp_format: Option<String>,
    pub date_format: Option<String>,
    /// `partitionColumns`: the `key=value` folders that become columns. None for the default of Databricks: all of them.
    pub partition_columns: Option<Vec<String>>,
    pub csv: CsvOptions,
    pub selection: Selection,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            format: None,
            schema: None,
            schema_hints: vec![],
            mode: Mode::Reject,
            corrupt_record_column: "_corrupt_record".to_owned(),
            multi_line: None,
            grammar: Grammar::SPARK,
            grammar_option: None,
            rescued_column: None,
            infer_timestamp: false,
            timestamp_format: None,
            date_format: None,
            partition_columns: None,
            csv: CsvOptions {
                header: None,
                delimiter: None,
                quote: Some(b'"'),
                escape: Some(b'\\'),
                comment: None,
                null_value: None,
            },
            selection: Selection::default(),
        }
    }
}

/// The supported options. [`Options::set`] handles each of them.
const SUPPORTED: [&str; 32] = [
    "format",
    "schema",
    "schemaHints",
    "mode",
    "columnNameOfCorruptRecord",
    "multiLine",
    "rescuedDataColumn",
    "inferTimestamp",
    "timestampFormat",
    "dateFormat",
    "partitionColumns",
    "header",
    "sep",
    "delimiter",
    "quote",
    "escape",
    "comment",
    "nullValue",
    "encoding",
    "charset",
    "allowNonNumericNumbers",
    "allowSingleQuotes",
    "allowUnquotedFieldNames",
    "allowComments",
    "allowBackslashEscapingAnyCharacter",
    "allowNumericLeadingZeros",
    "allowUnquotedControlChars",
    "pathGlobFilter",
    "recursiveFileLookup",
    "modifiedAfter",
    "modifiedBefore",
    "ignoreMissingFiles",
];

/// The names of the supported options of a batch scan, for completion and suggestions.
pub fn option_names() -> &'static [&'static str] {
    &SUPPORTED
}

/// The options that only `STREAM read_files` has. Its module handles them.
const STREAM_OPTIONS: [&str; 4] = ["includeExistingFiles", "maxBytesPerTrigger", "maxFileAge", "maxFilesPerTrigger"];

/// Options of Databricks that are refused, because ignoring one could change the result without notice.
const REFUSED: [&str; 39] = [
    "allowOverwrites",
    "badRecordsPath",
    "charToEscapeQuoteEscaping",
    "datetimeRebaseMode",
    "dropFieldIfAllNull",
    "emptyValue",
    "enforceSchema",
    "fileNamePattern",
    "ignoreCorruptFiles",
    "ignoreLeadingWhiteSpace",
    "ignoreTrailingWhiteSpace",
    "inferColumnTypes",
    "inferSchema",
    "int96RebaseMode",
    "lineSep",
    "locale",
    "maxCharsPerColumn",
    "maxColumns",
    "mergeSchema",
    "nanValue",
    "negativeInf",
    "parserCaseSensitive",
    "positiveInf",
    "preferDate",
    "prefersDecimal",
    "primitivesAsString",
    "readerCaseSensitive",
    "rowTag",
    "samplingRatio",
    "schemaEvolutionMode",
    "schemaLocation",
    "singleVariantColumn",
    "skipRows",
    "timeZone",
    "unescapedQuoteHandling",
    "useNotifications",
    "useStrictGlobber",
    "wholeText",
    "backfillInterval",
];

impl Options {
    pub(super) fn parse(given: &BTreeMap<String, ScalarValue>) -> Result<Self> {
        let mut options = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for (written, value) in given {
            let taken = SUPPORTED.iter().find(|name| name.eq_ignore_ascii_case(written));
            let Some(name) = taken else { return Err(unknown(written)) };
            if seen.contains(name) {
                return Err(Error::new(ErrorCode::InvalidOption, format!("the option {name} is given twice")));
            }
            seen.push(name);
            options.set(name, &Given { name, value })?;
            if name.starts_with("allow") {
                options.grammar_option = Some(*name);
            }
        }
        options.check()?;
        Ok(options)
    }

    fn set(&mut self, name: &str, given: &Given<'_>) -> Result<()> {
        match name {
            "format" => self.format = Some(given.format()?),
            "schema" => self.schema = Some(parse_schema(given.text()?)?),
            "schemaHints" => self.schema_hints = parse_schema(given.text()?)?.fields().iter().cloned().collect(),
            "mode" => self.mode = given.mode()?,
            "columnNameOfCorruptRecord" => self.corrupt_record_column = given.text()?.to_owned(),
            "multiLine" => self.multi_line = Some(given.boolean()?),
            "rescuedDataColumn" => self.rescued_column = Some(given.text()?.to_owned()),
            "allowNonNumericNumbers" => self.grammar.non_numeric_numbers = given.boolean()?,
            "allowSingleQuotes" => self.grammar.single_quotes = given.boolean()?,
            "allowUnquotedFieldNames" => self.grammar.unquoted_field_names = given.boolean()?,
            "allowComments" => self.grammar.comments = given.boolean()?,
            "allowBackslashEscapingAnyCharacter" => self.grammar.backslash_escapes_any = given.boolean()?,
            "allowNumericLeadingZeros" => self.grammar.leading_zeros = given.boolean()?,
            "allowUnquotedControlChars" => self.grammar.unquoted_control_characters = given.boolean()?,
            "inferTimestamp" => self.infer_timestamp = given.boolean()?,
            "timestampFormat" => self.timestamp_format = Some(given.text()?.to_owned()),
            "dateFormat" => self.date_format = Some(given.text()?.to_owned()),
            "partitionColumns" => self.partition_columns = Some(given.names()?),
            "header" => self.csv.header = Some(given.boolean()?),
            "sep" | "delimiter" => self.csv.delimiter = Some(given.character()?),
            "quote" => self.csv.quote = given.character_or_none()?,
            "escape" => self.csv.escape = given.character_or_none()?,
            "comment" => self.csv.comment = given.character_or_none()?,
            "nullValue" => self.csv.null_value = Some(given.text()?.to_owned()),
            "encoding" | "charset" => given.utf8()?,
            "pathGlobFilter" => self.selection.name_filter = Some(given.glob()?),
            "recursiveFileLookup" => self.selection.partition_folders_only = !given.boolean()?,
            "modifiedAfter" => self.selection.modified_after_us = Some(given.timestamp_us()?),
            "modifiedBefore" => self.selection.modified_before_us = Some(given.timestamp_us()?),
            "ignoreMissingFiles" => given.only_false()?,
            _ => return Err(unknown(name)),
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        if self.schema.is_some() && !self.schema_hints.is_empty() {
            return Err(Error::new(
                ErrorCode::InvalidOption,
                "schemaHints corrects an inferred schema, but the option schema is given too",
            )
            .with_hint("leave one of the two out"));
        }
        Ok(())
    }
}

fn unknown(written: &str) -> Error {
    if let Some(name) = STREAM_OPTIONS.iter().find(|name| name.eq_ignore_ascii_case(written)) {
        return Error::new(ErrorCode::InvalidOption, format!("the option {name} is for STREAM read_files"));
    }
    if let Some(name) = REFUSED.iter().find(|name| name.eq_ignore_ascii_case(written)) {
        return Error::new(
            ErrorCode::UnsupportedFeature,
            format!("the option {name} of read_files is not implemented"),
        );
    }
    let error = Error::new(ErrorCode::UnknownOption, format!("read_files has no option `{written}`"));
    match nearest(written, SUPPORTED) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint(format!("the options are {}", SUPPORTED.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(given: &[(&str, &str)]) -> Result<Options> {
        Options::parse(&given.iter().map(|(name, value)| ((*name).to_owned(), ScalarValue::from(*value))).collect())
    }

    fn check_error(name: &str, value: &str, message: &str, hint: Option<&str>) {
        let error = parse(&[(name, value)]).unwrap_err();
        assert_eq!((error.message.as_str(), error.hint.as_deref()), (message, hint));
    }

    #[test]
    fn names_are_case_insensitive_and_values_may_be_text() {
        let options =
            parse(&[("FORMAT", "JSON"), ("multiline", "true"), ("SEP", "\\t"), ("mode", "failfast")]).unwrap();
        assert_eq!(
            (options.format, options.multi_line, options.mode),
            (Some(Format::Json), Some(true), Mode::FailFast)
        );
        assert_eq!((options.csv.delimiter, options.csv.header), (Some(b'\t'), None));
        let options = parse(&[("modifiedAfter", "1970-01-01T00:00:01Z"), ("partitionColumns", " a ,b")]).unwrap();
        assert_eq!(options.selection.modified_after_us, Some(1_000_000));
        assert_eq!(options.partition_columns.unwrap(), ["a", "b"]);
    }

    #[test]
    fn every_wrong_option_is_an_error() {
        check_error("schemaHint", "a INT", "read_files has no option `schemaHint`", Some("did you mean schemaHints?"));
        check_error("mergeschema", "true", "the option mergeSchema of read_files is not implemented", None);
        check_error(
            "format",
            "avro",
            "read_files does not read the format `avro`",
            Some("it reads json, csv and parquet"),
        );
        check_error("mode", "x", "the option mode needs PERMISSIVE, DROPMALFORMED or FAILFAST, not x", None);
        check_error("encoding", "latin1", "the encoding latin1 is not supported", Some("only UTF-8 is read"));
        check_error("ignoreMissingFiles", "true", "ignoreMissingFiles => true is not implemented", None);
        check_error("quote", "''", "the option quote needs one ASCII character, not ''", None);
        check_error(
            "modifiedBefore",
            "soon",
            "the option modifiedBefore needs a timestamp such as '2026-01-31T10:00:00', not soon",
            None,
        );
        let both = parse(&[("schema", "a INT"), ("schemaHints", "a INT")]).unwrap_err();
        assert_eq!(both.message, "schemaHints corrects an inferred schema, but the option schema is given too");
        let twice = parse(&[("multiLine", "true"), ("MULTILINE", "true")]).unwrap_err();
        assert_eq!(twice.message, "the option multiLine is given twice");
    }
}
