//! The parser of Databricks' type syntax.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, Fields, Schema};

use super::{STRING, list_of, map_of, timestamp};
use crate::error::{Error, ErrorCode, Result, nearest};

/// The maximum nesting of a type. Without it, a hostile schema could exhaust the stack.
const DEPTH_MAX: usize = 64;

const TYPE_NAMES: [&str; 27] = [
    "BOOLEAN",
    "TINYINT",
    "BYTE",
    "SMALLINT",
    "SHORT",
    "INT",
    "INTEGER",
    "BIGINT",
    "LONG",
    "FLOAT",
    "REAL",
    "DOUBLE",
    "DECIMAL",
    "DEC",
    "NUMERIC",
    "STRING",
    "BINARY",
    "DATE",
    "TIMESTAMP",
    "TIMESTAMP_LTZ",
    "TIMESTAMP_NTZ",
    "ARRAY",
    "MAP",
    "STRUCT",
    "CHAR",
    "VARCHAR",
    "VARIANT",
];

/// Parses a schema: `name TYPE [NOT NULL] [COMMENT 'text'], …`. A name that is not a plain word needs back-ticks. As in Spark,
/// `name: TYPE` and `STRUCT<…>` around the whole schema are allowed.
///
/// # Errors
/// `UNSUPPORTED_DATATYPE`, with the position in the text.
pub fn parse_schema(ddl: &str) -> Result<Schema> {
    let mut parser = Parser::new(ddl);
    parser.parse_whole_schema().map_err(|failure| failure.into_error("schema", ddl))
}

/// Parses one type: `INT`, `DECIMAL(10,2)`, `ARRAY<STRUCT<a: STRING>>`.
///
/// # Errors
/// `UNSUPPORTED_DATATYPE`, with the position in the text.
pub fn parse_type(ddl: &str) -> Result<DataType> {
    let mut parser = Parser::new(ddl);
    let parsed = parser.parse_type(0).and_then(|data_type| parser.expect_end().map(|()| data_type));
    parsed.map_err(|failure| failure.into_error("type", ddl))
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("expected {expected} at character {at}, found {found}")]
    Expected { expected: &'static str, at: usize, found: String },
    #[error("unknown type `{name}` at character {at}")]
    UnknownType { name: String, at: usize },
    #[error("the type {name} at character {at} is not supported")]
    Unsupported { name: String, at: usize, instead: &'static str },
    #[error("DECIMAL({precision},{scale}) is not possible: the precision is 1 to 38, the scale 0 to the precision")]
    Decimal { precision: u64, scale: u64 },
    #[error("the column `{0}` is named twice")]
    Duplicate(String),
    #[error("types nest more than {DEPTH_MAX} deep")]
    Depth,
}

impl Failure {
    fn into_error(self, what: &str, ddl: &str) -> Error {
        let hint = match &self {
            Self::UnknownType { name, .. } => nearest(name, TYPE_NAMES).map(|near| format!("did you mean {near}?")),
            Self::Unsupported { instead, .. } => Some(format!("use {instead}")),
            Self::Expected { .. } => Some("a schema is written 'name TYPE, name TYPE, …'".to_owned()),
            _ => None,
        };
        let error = Error::new(ErrorCode::UnsupportedDatatype, format!("the {what} '{ddl}' cannot be read: {self}"));
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

/// A cursor over the text. Positions in messages count characters from 1.
struct Parser<'a> {
    text: &'a str,
    at_bytes: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at_bytes: 0 }
    }

    fn parse_whole_schema(&mut self) -> Result<Schema, Failure> {
        // Spark also accepts `STRUCT<…>` around the whole schema.
        let start = self.at_bytes;
        if self.word().is_some_and(|word| word.eq_ignore_ascii_case("STRUCT")) && self.peek() == Some('<') {
            self.at_bytes = start;
            let data_type = self.parse_type(0)?;
            self.expect_end()?;
            if let DataType::Struct(fields) = data_type {
                return Ok(Schema::new(fields));
            }
        }
        self.at_bytes = start;
        let fields = self.parse_fields(0)?;
        self.expect_end()?;
        Ok(Schema::new(fields))
    }

    fn parse_fields(&mut self, depth: usize) -> Result<Fields, Failure> {
        let mut fields: Vec<Field> = Vec::new();
        loop {
            let field = self.parse_field(depth)?;
            if fields.iter().any(|known| known.name().eq_ignore_ascii_case(field.name())) {
                return Err(Failure::Duplicate(field.name().clone()));
            }
            fields.push(field);
            if !self.take(',') {
                return Ok(fields.into());
            }
        }
    }

    fn parse_field(&mut self, depth: usize) -> Result<Field, Failure> {
        let name = self.identifier()?;
        self.take(':');
        let data_type = self.parse_type(depth)?;
        let mut nullable = true;
        if self.take_word("NOT") {
            if !self.take_word("NULL") {
                return Err(self.expected("NULL"));
            }
            nullable = false;
        }
        let mut field = Field::new(name, data_type, nullable);
        if self.take_word("COMMENT") {
            let comment = self.quoted_text()?;
            field = field.with_metadata([("comment".to_owned(), comment)].into());
        }
        Ok(field)
    }

    fn parse_type(&mut self, depth: usize) -> Result<DataType, Failure> {
        if depth > DEPTH_MAX {
            return Err(Failure::Depth);
        }
        self.skip_space();
        let at = self.position();
        let Some(word) = self.word() else { return Err(self.expected("a type")) };
        let name = word.to_uppercase();
        Ok(match name.as_str() {
            "BOOLEAN" => DataType::Boolean,
            "TINYINT" | "BYTE" => DataType::Int8,
            "SMALLINT" | "SHORT" => DataType::Int16,
            "INT" | "INTEGER" => DataType::Int32,
            "BIGINT" | "LONG" => DataType::Int64,
            "FLOAT" | "REAL" => DataType::Float32,
            "DOUBLE" => DataType::Float64,
            "DECIMAL" | "DEC" | "NUMERIC" => self.parse_decimal()?,
            "STRING" => STRING,
            "BINARY" => DataType::Binary,
            "DATE" => DataType::Date32,
            "TIMESTAMP" | "TIMESTAMP_LTZ" => timestamp(),
            "ARRAY" => {
                self.expect('<', "<")?;
                let item = self.parse_type(depth + 1)?;
                self.expect('>', ">")?;
                list_of(item)
            }
            "MAP" => {
                self.expect('<', "<")?;
                let key = self.parse_type(depth + 1)?;
                self.expect(',', "a comma")?;
                let value = self.parse_type(depth + 1)?;
                self.expect('>', ">")?;
                map_of(key, value)
            }
            "STRUCT" => {
                self.expect('<', "<")?;
                let fields = if self.peek() == Some('>') { Fields::empty() } else { self.parse_fields(depth + 1)? };
                self.expect('>', ">")?;
                DataType::Struct(fields)
            }
            "CHAR" | "VARCHAR" => return Err(Failure::Unsupported { name, at, instead: "STRING" }),
            "TIMESTAMP_NTZ" => return Err(Failure::Unsupported { name, at, instead: "TIMESTAMP" }),
            "VARIANT" | "INTERVAL" | "VOID" | "OBJECT" => {
                return Err(Failure::Unsupported { name, at, instead: "STRING and take it apart in SQL" });
            }
            _ => return Err(Failure::UnknownType { name: word.to_owned(), at }),
        })
    }

    fn parse_decimal(&mut self) -> Result<DataType, Failure> {
        let (mut precision, mut scale) = (10, 0);
        if self.take('(') {
            precision = self.number()?;
            if self.take(',') {
                scale = self.number()?;
            }
            self.expect(')', ")")?;
        }
        if precision == 0 || precision > u64::from(DECIMAL128_MAX_PRECISION) || scale > precision {
            return Err(Failure::Decimal { precision, scale });
        }
        // Both are at most 38.
        Ok(DataType::Decimal128(precision as u8, scale as i8))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at_bytes..]
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at_bytes += rest.len() - rest.trim_start().len();
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_space();
        self.rest().chars().next()
    }

    fn position(&self) -> usize {
        self.text[..self.at_bytes].chars().count() + 1
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at_bytes += wanted.len_utf8();
        }
        found
    }

    fn expect(&mut self, wanted: char, name: &'static str) -> Result<(), Failure> {
        if self.take(wanted) { Ok(()) } else { Err(self.expected(name)) }
    }

    fn expect_end(&mut self) -> Result<(), Failure> {
        if self.peek().is_none() { Ok(()) } else { Err(self.expected("a comma or the end")) }
    }

    fn expected(&mut self, expected: &'static str) -> Failure {
        self.skip_space();
        let at = self.position();
        let found = match self.rest().split_whitespace().next() {
            Some(word) => format!("`{}`", word.chars().take(20).collect::<String>()),
            None => "the end".to_owned(),
        };
        Failure::Expected { expected, at, found }
    }

    fn word(&mut self) -> Option<&'a str> {
        self.skip_space();
        let rest = self.rest();
        let length =
            rest.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(rest.len());
        self.at_bytes += length;
        (length > 0).then(|| &rest[..length])
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let start = self.at_bytes;
        let found = self.word().is_some_and(|word| word.eq_ignore_ascii_case(wanted));
        if !found {
            self.at_bytes = start;
        }
        found
    }

    fn number(&mut self) -> Result<u64, Failure> {
        let start = self.at_bytes;
        let parsed = self.word().and_then(|word| word.parse().ok());
        parsed.ok_or_else(|| {
            self.at_bytes = start;
            self.expected("a number")
        })
    }

    fn identifier(&mut self) -> Result<String, Failure> {
        if self.peek() == Some('`') {
            return self.delimited('`', "a closing back-tick");
        }
        match self.word() {
            Some(word) => Ok(word.to_owned()),
            None => Err(self.expected("a column name")),
        }
    }

    fn quoted_text(&mut self) -> Result<String, Failure> {
        match self.peek() {
            Some(quote @ ('\'' | '"')) => self.delimited(quote, "a closing quote"),
            _ => Err(self.expected("a quoted text")),
        }
    }

    /// Text between two `quote` characters. A doubled one inside is one character of the text.
    fn delimited(&mut self, quote: char, expected: &'static str) -> Result<String, Failure> {
        self.at_bytes += quote.len_utf8();
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let Some(end) = rest.find(quote) else {
                self.at_bytes = self.text.len();
                return Err(self.expected(expected));
            };
            text.push_str(&rest[..end]);
            self.at_bytes += end + quote.len_utf8();
            if !self.rest().starts_with(quote) {
                return Ok(text);
            }
            text.push(quote);
            self.at_bytes += quote.len_utf8();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_has_names_nulls_and_comments() {
        let schema = parse_schema("index INT NOT NULL, `user id`: STRING COMMENT 'it''s me',größe DOUBLE").unwrap();
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["index", "user id", "größe"]);
        assert!(!schema.field(0).is_nullable());
        assert_eq!(schema.field(1).metadata()["comment"], "it's me");
        assert_eq!(parse_schema("STRUCT<a INT>").unwrap(), parse_schema("a INT").unwrap());
        assert_eq!(parse_schema("struct INT").unwrap().field(0).name(), "struct");
    }

    fn check_error(ddl: &str, message: &str, hint: Option<&str>) {
        let error = parse_schema(ddl).unwrap_err();
        assert_eq!(error.message, format!("the schema '{ddl}' cannot be read: {message}"));
        assert_eq!(error.hint.as_deref(), hint, "{ddl}");
    }

    #[test]
    fn mistakes_are_named() {
        const FORM: Option<&str> = Some("a schema is written 'name TYPE, name TYPE, …'");
        check_error("a INTT", "unknown type `INTT` at character 3", Some("did you mean INT?"));
        check_error("a INT b INT", "expected a comma or the end at character 7, found `b`", FORM);
        check_error("a", "expected a type at character 2, found the end", FORM);
        check_error("", "expected a column name at character 1, found the end", FORM);
        check_error("a ARRAY<INT", "expected > at character 12, found the end", FORM);
        check_error("a INT, A STRING", "the column `A` is named twice", None);
        check_error("a VARCHAR(3)", "the type VARCHAR at character 3 is not supported", Some("use STRING"));
        check_error(
            "a DECIMAL(39,2)",
            "DECIMAL(39,2) is not possible: the precision is 1 to 38, the scale 0 to the precision",
            None,
        );
        check_error("`a INT", "expected a closing back-tick at character 7, found the end", FORM);
        let deep = format!("a {}INT{}", "ARRAY<".repeat(10_000), ">".repeat(10_000));
        assert!(parse_schema(&deep).unwrap_err().message.ends_with("types nest more than 64 deep"));
    }
}
