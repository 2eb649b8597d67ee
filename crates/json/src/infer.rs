//! Infers a schema from sample records, by Spark's rules (`JsonInferSchema`).
//!
//! The result does not depend on the order of the samples, so they can be read concurrently and merged.

use std::collections::{BTreeMap, HashMap};

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, Fields, Schema};

use super::cursor::Cursor;
use super::error::RecordError;
use super::relaxed::{Grammar, NonNumeric, to_strict};
use super::temporal::TemporalFormats;
use pinsql_base::error::Result;
use pinsql_base::schema::{STRING, list_of, timestamp};

/// The number of digits that holds every BIGINT.
const BIGINT_PRECISION: u8 = 20;
/// The maximum nesting of an inferred type. Deeper values become STRING, with their JSON text: such types are useless in tables.
const TYPE_DEPTH_MAX: usize = 32;

/// Options of the inference.
#[derive(Debug, Clone)]
pub struct InferOptions {
    /// The Arrow type of STRING columns: `Utf8` or `Utf8View`.
    pub string_type: DataType,
    /// Spark's `inferTimestamp`: a column whose strings are all timestamps becomes TIMESTAMP.
    pub infer_timestamp: bool,
    /// Spark's `timestampFormat`, for `infer_timestamp`.
    pub timestamp_format: Option<String>,
    /// The grammar of the records. The default is strict JSON.
    pub grammar: Grammar,
    /// Names that differ only in upper and lower case are one field, with the first spelling in the order of the names.
    pub ignore_case: bool,
}

impl Default for InferOptions {
    fn default() -> Self {
        Self {
            string_type: STRING,
            infer_timestamp: false,
            timestamp_format: None,
            grammar: Grammar::default(),
            ignore_case: false,
        }
    }
}

/// The type of the records read so far.
#[derive(Debug)]
pub struct Inferred {
    fields: Members,
    rules: Rules,
}

type Members = BTreeMap<String, Kind>;

#[derive(Debug)]
struct Rules {
    string_type: DataType,
    /// None if timestamps are not inferred.
    formats: Option<TemporalFormats>,
    grammar: Grammar,
    ignore_case: bool,
    scratch: Vec<u8>,
}

/// A type that further records can widen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Kind {
    /// Only NULLs and empty strings so far. Spark treats an empty string as NULL here.
    #[default]
    Unknown,
    Boolean,
    Long,
    /// Whole numbers past BIGINT, by their digits.
    Decimal(u8),
    Double,
    Timestamp,
    String,
    Array(Box<Kind>),
    Struct(Members),
}

impl Inferred {
    /// Starts without a record.
    ///
    /// # Errors
    /// `INVALID_PATTERN` if the timestamp format is not valid.
    pub fn new(options: InferOptions) -> Result<Self> {
        let InferOptions { string_type, infer_timestamp, timestamp_format, grammar, ignore_case } = options;
        let formats = infer_timestamp.then(|| TemporalFormats::new(timestamp_format.as_deref(), None)).transpose()?;
        let rules = Rules { string_type, formats, grammar, ignore_case, scratch: Vec::new() };
        Ok(Self { fields: Members::new(), rules })
    }

    /// Merges the result of another sample.
    pub fn merge(&mut self, other: Self) {
        merge_members(&mut self.fields, other.fields);
    }

    /// Returns the schema: fields sorted by name, as in Spark, all nullable. Fields whose only value is `{}` are left out.
    pub fn schema(&self) -> Schema {
        match self.rules.ignore_case {
            true => Schema::new(fields_of(&one_spelling(&self.fields), &self.rules.string_type)),
            false => Schema::new(fields_of(&self.fields, &self.rules.string_type)),
        }
    }
}

/// Reads one record, which is an object or an array of objects. After an error `inferred` is unchanged.
pub fn infer_record(inferred: &mut Inferred, record: &[u8]) -> Result<(), RecordError> {
    let Err(error) = Cursor::new(record).and_then(check) else { return learn(inferred, record) };
    if error.is_misfit() {
        return Err(error);
    }
    match to_strict(record, inferred.rules.grammar, NonNumeric::Number) {
        Some(strict) if strict.trim_ascii().is_empty() => Ok(()),
        Some(strict) if Cursor::new(&strict).and_then(check).is_ok() => learn(inferred, &strict),
        _ => Err(error),
    }
}

/// Reads a record that is valid.
fn learn(inferred: &mut Inferred, record: &[u8]) -> Result<(), RecordError> {
    let mut cursor = Cursor::new(record)?;
    let Inferred { fields, rules } = inferred;
    if cursor.value_start()? == b'[' {
        cursor.elements(|cursor| rules.learn_members(fields, 0, cursor))
    } else {
        rules.learn_members(fields, 0, &mut cursor)
    }
}

/// Checks that the record is valid JSON of objects, so that the inference cannot stop in the middle.
fn check(mut cursor: Cursor<'_>) -> Result<(), RecordError> {
    let mut walk = cursor;
    walk.skip_value()?;
    walk.end()?;
    let check_object = |cursor: &mut Cursor<'_>| match cursor.value_start()? {
        b'{' => cursor.skip_value(),
        _ => Err(cursor.misfit(cursor.at, "an object")),
    };
    if cursor.value_start()? == b'[' { cursor.elements(check_object) } else { check_object(&mut cursor) }
}

impl<'a> Cursor<'a> {
    /// Calls `read` for each element of an array, whose `[` is next. `read` steps over the element.
    fn elements(&mut self, mut read: impl FnMut(&mut Self) -> Result<(), RecordError>) -> Result<(), RecordError> {
        self.enter()?;
        let mut more = !self.leave(b']');
        while more {
            read(self)?;
            more = self.another(b']')?;
        }
        Ok(())
    }
}

impl Rules {
    fn learn_members(
        &mut self,
        members: &mut Members,
        depth: usize,
        cursor: &mut Cursor<'_>,
    ) -> Result<(), RecordError> {
        cursor.value_start()?;
        cursor.enter()?;
        let mut more = !cursor.leave(b'}');
        while more {
            cursor.name_start()?;
            let name = String::from_utf8_lossy(cursor.string(&mut self.scratch)?);
            cursor.colon()?;
            match members.get_mut(&*name) {
                Some(kind) => self.learn(kind, depth + 1, cursor)?,
                None => {
                    let kind = members.entry(name.into_owned()).or_default();
                    self.learn(kind, depth + 1, cursor)?;
                }
            }
            more = cursor.another(b'}')?;
        }
        Ok(())
    }

    fn learn(&mut self, kind: &mut Kind, depth: usize, cursor: &mut Cursor<'_>) -> Result<(), RecordError> {
        let learned = match cursor.value_start()? {
            b'{' | b'[' if depth > TYPE_DEPTH_MAX => {
                cursor.skip_value()?;
                Kind::String
            }
            b'{' => {
                let mut empty = Members::new();
                return match kind.as_struct() {
                    Some(members) => self.learn_members(members, depth, cursor),
                    None => {
                        self.learn_members(&mut empty, depth, cursor)?;
                        kind.merge(Kind::Struct(empty));
                        Ok(())
                    }
                };
            }
            b'[' => {
                let mut element = match kind {
                    Kind::Array(element) => std::mem::take(&mut **element),
                    _ => Kind::Unknown,
                };
                cursor.elements(|cursor| self.learn(&mut element, depth + 1, cursor))?;
                Kind::Array(Box::new(element))
            }
            b'"' => {
                cursor.at += 1;
                let text = cursor.string(&mut self.scratch)?;
                match &self.formats {
                    _ if text.is_empty() => Kind::Unknown,
                    Some(formats) if formats.parse_timestamp(text).is_some() => Kind::Timestamp,
                    _ => Kind::String,
                }
            }
            b'n' => cursor.word("null").map(|()| Kind::Unknown)?,
            b't' => cursor.word("true").map(|()| Kind::Boolean)?,
            b'f' => cursor.word("false").map(|()| Kind::Boolean)?,
            _ => {
                let number = cursor.number()?;
                let digits = number.text.len() - usize::from(number.negative);
                match u8::try_from(digits) {
                    _ if !number.is_integer => Kind::Double,
                    _ if number.to_i64().is_some() => Kind::Long,
                    Ok(digits) if digits <= DECIMAL128_MAX_PRECISION => Kind::Decimal(digits),
                    _ => Kind::Double,
                }
            }
        };
        kind.merge(learned);
        Ok(())
    }
}

impl Kind {
    fn in_one_spelling(&self) -> Self {
        match self {
            Self::Array(element) => Self::Array(Box::new(element.in_one_spelling())),
            Self::Struct(members) => Self::Struct(one_spelling(members)),
            other => other.clone(),
        }
    }

    /// The members to extend. An unknown type becomes a struct.
    fn as_struct(&mut self) -> Option<&mut Members> {
        if *self == Self::Unknown {
            *self = Self::Struct(Members::new());
        }
        match self {
            Self::Struct(members) => Some(members),
            _ => None,
        }
    }

    /// Returns the narrowest type that holds both. STRING holds everything.
    fn merge(&mut self, other: Self) {
        let merged = match (std::mem::take(self), other) {
            (Self::Unknown, kind) | (kind, Self::Unknown) => kind,
            (Self::Long, Self::Long) => Self::Long,
            (Self::Long, Self::Decimal(digits)) | (Self::Decimal(digits), Self::Long) => {
                Self::Decimal(digits.max(BIGINT_PRECISION))
            }
            (Self::Decimal(left), Self::Decimal(right)) => Self::Decimal(left.max(right)),
            (Self::Double, Self::Long | Self::Decimal(_) | Self::Double)
            | (Self::Long | Self::Decimal(_), Self::Double) => Self::Double,
            (Self::Array(mut left), Self::Array(right)) => {
                left.merge(*right);
                Self::Array(left)
            }
            (Self::Struct(mut left), Self::Struct(right)) => {
                merge_members(&mut left, right);
                Self::Struct(left)
            }
            (left, right) if left == right => left,
            _ => Self::String,
        };
        *self = merged;
    }

    /// Returns None for a type without values, which Spark leaves out: `{}`, and arrays of it.
    fn data_type(&self, string_type: &DataType) -> Option<DataType> {
        Some(match self {
            Self::Unknown | Self::String => string_type.clone(),
            Self::Boolean => DataType::Boolean,
            Self::Long => DataType::Int64,
            Self::Decimal(precision) => DataType::Decimal128(*precision, 0),
            Self::Double => DataType::Float64,
            Self::Timestamp => timestamp(),
            Self::Array(element) => list_of(element.data_type(string_type)?),
            Self::Struct(members) => {
                let fields = fields_of(members, string_type);
                if fields.is_empty() {
                    return None;
                }
                DataType::Struct(fields)
            }
        })
    }
}

/// The fields with one spelling of each name.
fn one_spelling(members: &Members) -> Members {
    let mut names: HashMap<String, &String> = HashMap::new();
    let mut merged = Members::new();
    for (name, kind) in members {
        let kind = kind.in_one_spelling();
        let first = *names.entry(name.to_lowercase()).or_insert(name);
        merged.entry(first.clone()).or_default().merge(kind);
    }
    merged
}

fn merge_members(members: &mut Members, other: Members) {
    for (name, kind) in other {
        members.entry(name).or_default().merge(kind);
    }
}

fn fields_of(members: &Members, string_type: &DataType) -> Fields {
    let named = members.iter().filter(|(name, _)| !name.is_empty());
    named.filter_map(|(name, kind)| Some(Field::new(name, kind.data_type(string_type)?, true))).collect()
}

#[cfg(test)]
mod tests;
