//! Functions over single rows: a name, the argument types, the result type, and a body of a few lines.
//!
//! Most functions of Spark are of this kind. Their common code is here: casts of arguments as in Spark's ANSI mode (a number to
//! STRING, a STRING to a number), NULL for a NULL argument, and the conversion between columns and rows. A function implements
//! `ScalarUDFImpl` itself if its type depends on its arguments, or if it has state between rows, such as a compiled pattern.

mod answer;

use std::hash::{Hash, Hasher};

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

pub(crate) use self::answer::Answer;
use self::answer::collect;
use super::plain::of_arrays;
use super::times::to_timestamp::timestamp_type;
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::type_name;

/// The maximum size of the values of one column: Arrow's offsets are `i32`.
pub(crate) const VALUES_BYTES_MAX: usize = i32::MAX as usize;

/// The type of an argument or of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Binary,
    /// BINARY, if all arguments of this kind are BINARY; otherwise they are cast to STRING. As a result type: the type of the
    /// first argument.
    TextOrBinary,
    Boolean,
    Int,
    Bigint,
    Double,
    Date,
    Moment,
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Self::Text | Self::TextOrBinary => DataType::Utf8,
            Self::Binary => DataType::Binary,
            Self::Boolean => DataType::Boolean,
            Self::Int => DataType::Int32,
            Self::Bigint => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Moment => timestamp_type(),
        }
    }

    /// The type that an argument of type `given` is cast to. None if the type is not accepted.
    fn coerced(self, given: &DataType) -> Option<DataType> {
        let is_text = matches!(given, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null);
        let is_time = matches!(given, DataType::Date32 | DataType::Timestamp(_, _));
        let is_taken = match self {
            Self::Text => !given.is_nested(),
            Self::TextOrBinary => !given.is_nested(),
            Self::Binary => is_text || given.is_binary(),
            Self::Boolean => is_text || *given == DataType::Boolean,
            Self::Int | Self::Bigint | Self::Double => is_text || given.is_numeric(),
            Self::Date | Self::Moment => is_text || is_time,
        };
        is_taken.then(|| self.data_type())
    }
}

/// The arguments of one row.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    columns: &'a [Column<'a>],
    index: usize,
}

#[derive(Debug)]
enum Column<'a> {
    Text(&'a StringArray),
    Binary(&'a BinaryArray),
    Boolean(&'a BooleanArray),
    Int(&'a Int32Array),
    Bigint(&'a Int64Array),
    Double(&'a Float64Array),
    Date(&'a Date32Array),
    Moment(&'a TimestampMicrosecondArray),
}

macro_rules! read {
    ($name:ident, $variant:ident, $native:ty) => {
        pub(crate) fn $name(&self, argument: usize) -> Result<$native> {
            match self.columns.get(argument) {
                Some(Column::$variant(values)) => Ok(values.value(self.index)),
                _ => internal_err!("argument {argument} does not have the declared type"),
            }
        }
    };
}

impl<'a> Row<'a> {
    read!(text, Text, &'a str);
    read!(binary, Binary, &'a [u8]);
    read!(boolean, Boolean, bool);
    read!(int, Int, i32);
    read!(bigint, Bigint, i64);
    read!(double, Double, f64);
    read!(date, Date, i32);
    read!(moment, Moment, i64);

    /// The bytes of a STRING or a BINARY.
    pub(crate) fn bytes(&self, argument: usize) -> Result<&'a [u8]> {
        match self.columns.get(argument) {
            Some(Column::Text(texts)) => Ok(texts.value(self.index).as_bytes()),
            _ => self.binary(argument),
        }
    }

    pub(crate) fn is_binary(&self, argument: usize) -> bool {
        matches!(self.columns.get(argument), Some(Column::Binary(_)))
    }

    /// The number of arguments of the call.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// True if the call has this argument, and it is not NULL in this row.
    pub(crate) fn has(&self, argument: usize) -> bool {
        self.columns.get(argument).is_some_and(|column| !column.is_null(self.index))
    }

    /// The text of an optional argument.
    pub(crate) fn text_or(&self, argument: usize, default: &'a str) -> Result<&'a str> {
        if self.columns.len() > argument { self.text(argument) } else { Ok(default) }
    }

    pub(crate) fn int_or(&self, argument: usize, default: i32) -> Result<i32> {
        if self.columns.len() > argument { self.int(argument) } else { Ok(default) }
    }
}

impl<'a> Column<'a> {
    fn new(values: &'a ArrayRef) -> Result<Self> {
        Ok(match values.data_type() {
            DataType::Utf8 => Self::Text(values.as_string()),
            DataType::Binary => Self::Binary(values.as_binary()),
            DataType::Boolean => Self::Boolean(values.as_boolean()),
            DataType::Int32 => Self::Int(values.as_primitive::<Int32Type>()),
            DataType::Int64 => Self::Bigint(values.as_primitive::<Int64Type>()),
            DataType::Float64 => Self::Double(values.as_primitive::<Float64Type>()),
            DataType::Date32 => Self::Date(values.as_primitive::<Date32Type>()),
            DataType::Timestamp(_, _) => Self::Moment(values.as_primitive::<TimestampMicrosecondType>()),
            other => return internal_err!("a function over rows has no parameter of type {other}"),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Text(values) => values.is_null(row),
            Self::Binary(values) => values.is_null(row),
            Self::Boolean(values) => values.is_null(row),
            Self::Int(values) => values.is_null(row),
            Self::Bigint(values) => values.is_null(row),
            Self::Double(values) => values.is_null(row),
            Self::Date(values) => values.is_null(row),
            Self::Moment(values) => values.is_null(row),
        }
    }
}

pub(crate) type Body = fn(&Row<'_>) -> Result<Answer>;

/// A function over single rows, as a DataFusion function.
#[derive(Debug)]
pub(crate) struct RowFunction {
    name: &'static str,
    aliases: Vec<String>,
    parameters: &'static [Kind],
    required: usize,
    result: Kind,
    /// True if the body handles NULL arguments. Otherwise the result of a NULL argument is NULL.
    sees_null: bool,
    /// True if the arguments of the kind [`Kind::TextOrBinary`] must have one type.
    is_uniform: bool,
    signature: Signature,
    body: Body,
}

impl RowFunction {
    pub(crate) fn new(name: &'static str, parameters: &'static [Kind], result: Kind, body: Body) -> Self {
        Self {
            name,
            aliases: Vec::new(),
            parameters,
            required: parameters.len(),
            result,
            sees_null: false,
            is_uniform: false,
            signature: Signature::user_defined(Volatility::Immutable),
            body,
        }
    }

    pub(crate) fn with_aliases(mut self, aliases: &[&str]) -> Self {
        self.aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
        self
    }

    /// The arguments from this index are optional.
    pub(crate) fn with_required(mut self, required: usize) -> Self {
        self.required = required;
        self
    }

    pub(crate) fn sees_null(mut self) -> Self {
        self.sees_null = true;
        self
    }

    /// STRING and BINARY cannot be mixed.
    pub(crate) fn uniform(mut self) -> Self {
        self.is_uniform = true;
        self
    }

    pub(crate) fn volatile(mut self) -> Self {
        self.signature.volatility = Volatility::Volatile;
        self
    }

    pub(crate) fn udf(self) -> ScalarUDF {
        ScalarUDF::new_from_impl(self)
    }
}

/// The name is the identity of a function.
impl PartialEq for RowFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for RowFunction {}

impl Hash for RowFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for RowFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let most = self.parameters.len();
        if !(self.required..=most).contains(&types.len()) {
            let wanted = if self.required == most { most.to_string() } else { format!("{} to {most}", self.required) };
            return plan_err!("{} takes {wanted} argument(s), not {}", self.name, types.len());
        }
        let kind = |position: usize| self.parameters.get(position).copied().unwrap_or(Kind::Text);
        let mut either = types.iter().enumerate().filter(|(position, _)| kind(*position) == Kind::TextOrBinary);
        let is_binary = either.clone().all(|(_, given)| given.is_binary() || given.is_null())
            && either.clone().any(|(_, given)| given.is_binary());
        if self.is_uniform && !is_binary && either.any(|(_, given)| given.is_binary()) {
            return plan_err!("{}: STRING and BINARY cannot be mixed", self.name);
        }
        let coerced = |position: usize, given: &DataType| match kind(position) {
            Kind::TextOrBinary if is_binary => Some(DataType::Binary),
            kind => kind.coerced(given),
        };
        let coerce = |(position, given): (usize, &DataType)| match coerced(position, given) {
            Some(coerced) => Ok(coerced),
            None => plan_err!(
                "{}: argument {} must be {}, not {}",
                self.name,
                position + 1,
                type_name(&kind(position).data_type()),
                type_name(given)
            ),
        };
        types.iter().enumerate().map(coerce).collect()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(match (self.result, types.first()) {
            (Kind::TextOrBinary, Some(DataType::Binary)) => DataType::Binary,
            (result, _) => result.data_type(),
        })
    }

    fn is_strict(&self) -> bool {
        !self.sees_null
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        of_arrays(call, self.signature.volatility, |call| {
            let columns = call.arguments.iter().map(Column::new).collect::<Result<Vec<_>>>()?;
            let answer = |index: usize| {
                if !self.sees_null && columns.iter().any(|column| column.is_null(index)) {
                    return Ok(Answer::Null);
                }
                (self.body)(&Row { columns: &columns, index })
            };
            collect((0..call.rows).map(answer).collect::<Result<Vec<_>>>()?, call.result)
        })
    }
}

/// The error for a value that the function does not accept. `message` starts with the name of the function.
pub(crate) fn wrong_value(message: String) -> DataFusionError {
    value_error(ErrorCode::InvalidValue, message)
}

/// As [`wrong_value`], for a fault that has a more precise code.
pub(crate) fn value_error(code: ErrorCode, message: String) -> DataFusionError {
    external(Error::new(code, message))
}
