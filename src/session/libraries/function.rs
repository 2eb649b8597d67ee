//! A function of a library in the form that DataFusion calls.
//!
//! Arguments are passed as plain Arrow arrays, with strings as offsets and bytes, since libraries support only these layouts. The
//! result is validated before use: the number of rows, the type, and every value.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, make_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi, to_ffi};
use datafusion::common::{Result as EngineResult, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use pinsql_udf::abi;

use pinsql_base::engine_error::{counted, external, with_article};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::schema::{normalize_type, type_name};

/// The longest error text of a library that is shown, in bytes.
const ERROR_BYTES_MAX: usize = 10_000;

/// A function that a library exports, with its name in SQL.
#[derive(Clone)]
pub struct LibraryFunction {
    called: String,
    path: String,
    exported: String,
    documentation: String,
    parameters: Vec<DataType>,
    result: DataType,
    signature: Signature,
    /// The entry in the table of the library, which is never unloaded.
    table: &'static abi::Exported,
}

// SAFETY: the table is never written to. `pinsql_udf::Function` is `Send` and `Sync`, so any thread may call the function.
unsafe impl Send for LibraryFunction {}
// SAFETY: see `Send`.
unsafe impl Sync for LibraryFunction {}

impl fmt::Debug for LibraryFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LibraryFunction({} of {})", self.exported, self.path)
    }
}

impl PartialEq for LibraryFunction {
    fn eq(&self, other: &Self) -> bool {
        self.called == other.called && std::ptr::eq(self.table, other.table)
    }
}

impl Eq for LibraryFunction {}

impl Hash for LibraryFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.called.hash(state);
        std::ptr::hash(self.table, state);
    }
}

impl LibraryFunction {
    pub(super) fn new(
        path: &str,
        exported: &str,
        called: &str,
        (parameters, result): (Vec<DataType>, DataType),
        documentation: String,
        table: &'static abi::Exported,
    ) -> Result<Self> {
        let volatility = match table.volatility {
            0 => Volatility::Immutable,
            1 => Volatility::Stable,
            2 => Volatility::Volatile,
            other => {
                let said = format!("the library {path} is broken: the volatility of `{exported}` is {other}");
                return Err(Error::new(ErrorCode::InvalidLibrary, said));
            }
        };
        Ok(Self {
            called: called.to_lowercase(),
            path: path.to_owned(),
            exported: exported.to_owned(),
            documentation,
            parameters,
            result,
            signature: Signature::user_defined(volatility),
            table,
        })
    }

    /// The name in SQL, in lower case.
    pub fn called(&self) -> &str {
        &self.called
    }

    /// The lines of DESCRIBE FUNCTION: a heading and a text each.
    pub fn facts(&self, extended: bool) -> Vec<(&'static str, String)> {
        let parameters: Vec<String> = self.parameters.iter().map(type_name).collect();
        let mut facts = vec![
            ("Function", self.called.clone()),
            ("Type", "SCALAR".to_owned()),
            ("Input", format!("({})", parameters.join(", "))),
            ("Returns", type_name(&self.result)),
        ];
        if !self.documentation.is_empty() {
            facts.push(("Usage", self.documentation.clone()));
        }
        if extended {
            facts.push(("Library", self.path.clone()));
            facts.push(("Name there", self.exported.clone()));
            facts.push(("Deterministic", (self.signature.volatility != Volatility::Volatile).to_string()));
        }
        facts
    }

    fn evaluate(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let (mut arrays, mut schemas) = (Vec::new(), Vec::new());
        for argument in arguments {
            let plain = cast(argument, &plain_type(argument.data_type())).map_err(|error| self.failed(&error))?;
            let (array, schema) = to_ffi(&plain.to_data()).map_err(|error| self.failed(&error))?;
            arrays.push(array);
            schemas.push(schema);
        }
        let (mut result, mut schema) = (FFI_ArrowArray::empty(), FFI_ArrowSchema::empty());
        let mut error = abi::ErrorText::empty();
        // SAFETY: the library stays loaded, and the context is the one that it gave. There are as many schemas as arrays, and all
        // pointers are valid until the call returns.
        let code = unsafe {
            (self.table.evaluate)(
                self.table.context,
                arrays.as_mut_ptr(),
                schemas.as_mut_ptr(),
                arrays.len(),
                rows,
                &raw mut result,
                &raw mut schema,
                &raw mut error,
            )
        };
        match code {
            abi::DONE => self.taken_over(result, &schema, rows),
            abi::PANICKED => Err(self.said(&format!("it ended in a panic: {}", text_of(error)))),
            abi::FAILED => Err(self.said(&text_of(error))),
            other => Err(self.said(&format!("it returned the unknown code {other}"))),
        }
    }

    /// The result of the library after validation.
    fn taken_over(&self, result: FFI_ArrowArray, schema: &FFI_ArrowSchema, rows: usize) -> Result<ArrayRef> {
        if result.is_released() {
            return Err(self.said("it returned no result"));
        }
        // First, because the length decides how many bytes of the buffers are read.
        if result.len() != rows {
            return Err(self.said(&format!(
                "it returned {} for {}",
                counted(result.len(), "result"),
                counted(rows, "row")
            )));
        }
        let imported = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: the library hands over the array by Arrow's C data interface. The release callback and the length are
            // checked above, the values below. The library is responsible for the size of its buffers, which cannot be checked.
            let data = unsafe { from_ffi(result, schema) }?;
            data.validate_full()?;
            Ok::<_, ArrowError>(make_array(data))
        }));
        let array = match imported {
            Ok(Ok(array)) => array,
            Ok(Err(error)) => return Err(self.said("its result is not valid").caused_by(error)),
            Err(_) => return Err(self.said("its result is not valid: it does not fit the type that it claims")),
        };
        let (given, wanted) = (type_name(&normalize_type(array.data_type())), type_name(&self.result));
        if given != wanted {
            return Err(self.said(&format!("it returned {}, and its declared type is {wanted}", with_article(&given))));
        }
        cast(&array, &self.result).map_err(|error| self.failed(&error))
    }

    fn said(&self, what: &str) -> Error {
        Error::new(ErrorCode::ExecutionFailed, format!("the function {}: {what}", self.called))
    }

    fn failed(&self, error: &ArrowError) -> Error {
        self.said(&error.to_string())
    }
}

impl ScalarUDFImpl for LibraryFunction {
    fn name(&self) -> &str {
        &self.called
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> EngineResult<Vec<DataType>> {
        match types.len() == self.parameters.len() {
            true => Ok(self.parameters.clone()),
            false => plan_err!(
                "{} takes {}, and the call has {}",
                self.called,
                counted(self.parameters.len(), "argument"),
                types.len()
            ),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> EngineResult<DataType> {
        Ok(self.result.clone())
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let rows = call.number_rows;
        let arguments = call.args.iter().map(|argument| argument.to_array(rows)).collect::<EngineResult<Vec<_>>>()?;
        self.evaluate(&arguments, rows).map(ColumnarValue::Array).map_err(external)
    }
}

/// The text of an error. Its memory goes back to the library.
fn text_of(mut error: abi::ErrorText) -> String {
    let text = match error.bytes.is_null() || error.length == 0 {
        true => "it failed without a message".to_owned(),
        false => {
            // SAFETY: the pointer is not null, and by the ABI `length` bytes are valid until the text is released below.
            let bytes = unsafe { std::slice::from_raw_parts(error.bytes, error.length.min(ERROR_BYTES_MAX)) };
            String::from_utf8_lossy(bytes).into_owned()
        }
    };
    if let Some(release) = error.release {
        // SAFETY: the library set this callback for this text, and it is called once.
        unsafe { release(&raw mut error) };
    }
    text
}

/// The layout in which a type is passed to a library.
fn plain_type(data_type: &DataType) -> DataType {
    let field = |field: &FieldRef| -> FieldRef {
        let plain: Field = field.as_ref().clone().with_data_type(plain_type(field.data_type()));
        Arc::new(plain)
    };
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::List(item) => DataType::List(field(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        other => other.clone(),
    }
}
