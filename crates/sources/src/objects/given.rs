//! The value of one option, converted to the type that the option needs. A value that does not fit is an error with the name of
//! the option.

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use datafusion::scalar::ScalarValue;
use globset::GlobBuilder;

use super::options::{Format, Mode};
use pinsql_base::error::{Error, ErrorCode, Result};

/// The name and the value of one option.
pub(super) struct Given<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a ScalarValue,
}

impl<'a> Given<'a> {
    /// The error for a value that does not fit. `needed` describes the expected values.
    pub(super) fn wrong(&self, needed: &str) -> Error {
        Error::new(ErrorCode::InvalidOption, format!("the option {} needs {needed}, not {}", self.name, self.value))
    }

    pub(super) fn text(&self) -> Result<&'a str> {
        self.value.try_as_str().flatten().ok_or_else(|| self.wrong("a text"))
    }

    /// An integer greater than 0.
    pub(super) fn count(&self) -> Result<u64> {
        let count = match self.value {
            ScalarValue::Int32(Some(count)) => u64::try_from(*count).ok(),
            ScalarValue::Int64(Some(count)) => u64::try_from(*count).ok(),
            _ => self.value.try_as_str().flatten().and_then(|text| text.parse().ok()),
        };
        count.filter(|count| *count > 0).ok_or_else(|| self.wrong("a whole number above 0"))
    }

    /// A boolean. Databricks also accepts the text: `'true'`.
    pub(super) fn boolean(&self) -> Result<bool> {
        match self.value {
            ScalarValue::Boolean(Some(value)) => Ok(*value),
            _ => match self.value.try_as_str().flatten().map(str::to_ascii_lowercase).as_deref() {
                Some("true") => Ok(true),
                Some("false") => Ok(false),
                _ => Err(self.wrong("true or false")),
            },
        }
    }

    pub(super) fn character(&self) -> Result<u8> {
        match self.text()? {
            "\\t" => Ok(b'\t'),
            text => match text.as_bytes() {
                [byte] if byte.is_ascii() => Ok(*byte),
                _ => Err(self.wrong("one ASCII character")),
            },
        }
    }

    /// None for an empty text.
    pub(super) fn character_or_none(&self) -> Result<Option<u8>> {
        match self.text()? {
            "" => Ok(None),
            _ => self.character().map(Some),
        }
    }

    pub(super) fn names(&self) -> Result<Vec<String>> {
        Ok(self.text()?.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    pub(super) fn format(&self) -> Result<Format> {
        let name = self.text()?;
        Format::from_name(name).ok_or_else(|| {
            Error::new(ErrorCode::UnknownFileFormat, format!("read_files does not read the format `{name}`"))
                .with_hint("it reads json, csv and parquet")
        })
    }

    pub(super) fn mode(&self) -> Result<Mode> {
        match self.text()?.to_ascii_uppercase().as_str() {
            "PERMISSIVE" => Ok(Mode::Permissive),
            "DROPMALFORMED" => Ok(Mode::DropMalformed),
            "FAILFAST" => Ok(Mode::FailFast),
            _ => Err(self.wrong("PERMISSIVE, DROPMALFORMED or FAILFAST")),
        }
    }

    pub(super) fn utf8(&self) -> Result<()> {
        match self.text()?.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Ok(()),
            _ => {
                Err(Error::new(ErrorCode::UnsupportedFeature, format!("the encoding {} is not supported", self.value))
                    .with_hint("only UTF-8 is read"))
            }
        }
    }

    pub(super) fn only_false(&self) -> Result<()> {
        if self.boolean()? {
            return Err(Error::new(ErrorCode::UnsupportedFeature, format!("{} => true is not implemented", self.name)));
        }
        Ok(())
    }

    pub(super) fn glob(&self) -> Result<globset::GlobMatcher> {
        let glob = GlobBuilder::new(self.text()?).literal_separator(true).empty_alternates(true).build();
        Ok(glob.map_err(|error| self.wrong(&format!("a pattern ({})", error.kind())))?.compile_matcher())
    }

    pub(super) fn timestamp_us(&self) -> Result<i64> {
        if let ScalarValue::TimestampMicrosecond(Some(value), _) = self.value {
            return Ok(*value);
        }
        let nanoseconds = string_to_timestamp_nanos(self.text()?);
        Ok(nanoseconds.map_err(|_| self.wrong("a timestamp such as '2026-01-31T10:00:00'"))? / 1000)
    }
}
