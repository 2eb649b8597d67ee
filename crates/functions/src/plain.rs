//! Functions over columns: a name, a rule for the types, and a function over arrays of equal length.
//!
//! Most functions need nothing else of `ScalarUDFImpl`. A function implements the trait itself if its type depends on the value
//! of an argument, or if it treats constants differently.

use std::hash::{Hash, Hasher};

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::type_name;

/// The types of a call: those that the arguments are cast to, and that of the result.
#[derive(Debug)]
pub(crate) struct Types {
    pub(crate) arguments: Vec<DataType>,
    pub(crate) result: DataType,
}

impl Types {
    pub(crate) fn new(arguments: impl Into<Vec<DataType>>, result: DataType) -> Result<Self> {
        Ok(Self { arguments: arguments.into(), result })
    }
}

/// The input of a function.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// Each has `rows` elements.
    pub(crate) arguments: &'a [ArrayRef],
    pub(crate) rows: usize,
    pub(crate) result: &'a DataType,
}

/// Chooses the types of a call. It is idempotent: for the chosen types it chooses the same types.
pub(crate) type ChooseTypes = fn(&str, &[DataType]) -> Result<Types>;

pub(crate) type Compute = fn(&Call) -> Result<ArrayRef>;

/// A function. Its name is its identity.
#[derive(Debug)]
pub(crate) struct PlainFunction {
    name: &'static str,
    aliases: Vec<String>,
    types: ChooseTypes,
    compute: Compute,
    signature: Signature,
}

impl PartialEq for PlainFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for PlainFunction {}

impl Hash for PlainFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// Creates a function without aliases.
pub(crate) fn plain(name: &'static str, types: ChooseTypes, compute: Compute) -> ScalarUDF {
    named(&[name], Volatility::Immutable, types, compute)
}

/// Creates a function with aliases. The first name is its main name.
pub(crate) fn named(names: &[&'static str], volatility: Volatility, types: ChooseTypes, compute: Compute) -> ScalarUDF {
    let (name, aliases) = names.split_first().map_or(("", &[][..]), |(name, aliases)| (*name, aliases));
    ScalarUDF::new_from_impl(PlainFunction {
        name,
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        types,
        compute,
        signature: Signature::user_defined(volatility),
    })
}

/// The error for a call whose arguments have types that the function does not accept. `hint` shows a correct call.
pub(crate) fn wrong_call(function: &str, what: impl std::fmt::Display, hint: &str) -> DataFusionError {
    call_error(ErrorCode::DatatypeMismatch, function, what, hint)
}

/// As [`wrong_call`], for a fault that has another code of the kind Sql.
pub(crate) fn call_error(code: ErrorCode, function: &str, what: impl std::fmt::Display, hint: &str) -> DataFusionError {
    external(Error::new(code, format!("{function}: {what}")).with_hint(hint))
}

/// The types of arguments that are texts. Values of other types are cast to STRING, except for an ARRAY, a MAP or a STRUCT, which
/// Spark casts only in an explicit CAST.
pub(crate) fn texts(function: &str, types: &[DataType]) -> Result<Vec<DataType>> {
    match types.iter().find(|given| given.is_nested()) {
        Some(nested) => {
            let what = format!("expected a STRING, got {}", type_name(nested));
            Err(wrong_call(function, what, "CAST(value AS STRING)"))
        }
        None => Ok(vec![DataType::Utf8; types.len()]),
    }
}

impl ScalarUDFImpl for PlainFunction {
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
        Ok((self.types)(self.name, types)?.arguments)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok((self.types)(self.name, types)?.result)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        of_arrays(call, self.signature.volatility, self.compute)
    }
}

/// Computes a call over arrays of equal length. If all arguments are constants, it computes one row, except for a volatile
/// function.
pub(crate) fn of_arrays(
    call: ScalarFunctionArgs,
    volatility: Volatility,
    compute: impl FnOnce(&Call) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    let is_constant = volatility != Volatility::Volatile
        && call.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
    let rows = if is_constant { 1 } else { call.number_rows };
    let arguments: Vec<ArrayRef> =
        call.args.into_iter().map(|argument| argument.into_array(rows)).collect::<Result<_>>()?;
    let values = compute(&Call { arguments: &arguments, rows, result: call.return_field.data_type() })?;
    match is_constant {
        true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?)),
        false => Ok(ColumnarValue::Array(values)),
    }
}
