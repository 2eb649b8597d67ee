//! The library's side of the border: functions become C structs, and calls come back as Rust.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::{Array, ArrayRef, make_array};
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi, to_ffi};

use crate::abi::{DONE, ErrorText, Exported, FAILED, Library, MAGIC, PANICKED, VERSION};
use crate::{Function, Volatility};

thread_local! {
    /// Where the last panic of this thread was.
    static PANICKED_AT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes the tables of all functions, which live as long as the process. A panic in one of the functions' own descriptions leaves a
/// library without functions.
pub fn export(functions: impl FnOnce() -> Vec<Box<dyn Function>>) -> &'static Library {
    // This is the library's own copy of the standard library: its panics are told in errors, and not on standard error.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
        PANICKED_AT.with(|last| *last.borrow_mut() = place);
    }));
    let exported = catch_unwind(AssertUnwindSafe(|| functions().into_iter().map(exported).collect::<Vec<_>>()));
    let exported = Vec::leak(exported.unwrap_or_default());
    Box::leak(Box::new(Library {
        magic: MAGIC,
        version: VERSION,
        crate_version: text(env!("CARGO_PKG_VERSION")),
        functions: exported.as_ptr(),
        functions_count: exported.len(),
    }))
}

fn exported(function: Box<dyn Function>) -> Exported {
    let parameters: Vec<*const c_char> = function.parameters().into_iter().map(text).collect();
    let parameters = Vec::leak(parameters);
    Exported {
        name: text(function.name()),
        parameters: parameters.as_ptr(),
        parameters_count: parameters.len(),
        returns: text(function.returns()),
        documentation: text(function.documentation()),
        volatility: match function.volatility() {
            Volatility::Immutable => 0,
            Volatility::Stable => 1,
            Volatility::Volatile => 2,
        },
        // Of a trait object there is no thin pointer: so one more box, which is never taken back.
        context: std::ptr::from_ref::<Box<dyn Function>>(Box::leak(Box::new(function))).cast::<c_void>(),
        evaluate,
    }
}

/// A text that C reads and that lives as long as the process. It ends at its first NUL.
fn text(text: &str) -> *const c_char {
    let before_nul = text.split('\0').next().unwrap_or_default();
    CString::new(before_nul).unwrap_or_default().into_raw()
}

unsafe extern "C" fn evaluate(
    context: *const c_void,
    arguments: *mut FFI_ArrowArray,
    schemas: *mut FFI_ArrowSchema,
    arguments_count: usize,
    rows: usize,
    result: *mut FFI_ArrowArray,
    result_schema: *mut FFI_ArrowSchema,
    error: *mut ErrorText,
) -> i32 {
    let call = || -> Result<(FFI_ArrowArray, FFI_ArrowSchema), String> {
        // SAFETY: pinsql gives back the context that `exported` made, whose box is never dropped.
        let function = unsafe { &*context.cast::<Box<dyn Function>>() };
        // SAFETY: pinsql gives `arguments_count` arrays and as many schemas, and leaves them to this call.
        let arguments = unsafe { take(arguments, schemas, arguments_count) }?;
        let result = function.evaluate(&arguments, rows)?;
        to_ffi(&result.to_data()).map_err(|error| error.to_string())
    };
    let (code, said) = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok((array, schema))) => {
            // SAFETY: both point to structs of pinsql's that are empty and writable.
            unsafe {
                result.write(array);
                result_schema.write(schema);
            }
            return DONE;
        }
        Ok(Err(said)) => (FAILED, said),
        Err(panic) => (PANICKED, panic_text(panic.as_ref())),
    };
    // SAFETY: `error` points to a struct of pinsql's that is empty and writable.
    unsafe { error.write(error_text(said)) };
    code
}

/// Takes the arguments over: whatever happens now, this side releases them.
unsafe fn take(
    arguments: *mut FFI_ArrowArray,
    schemas: *mut FFI_ArrowSchema,
    count: usize,
) -> Result<Vec<ArrayRef>, String> {
    let taken = |place: usize| {
        // SAFETY: the caller says that there are `count` of both; what is taken out leaves an empty struct behind.
        let (array, schema) =
            unsafe { (FFI_ArrowArray::from_raw(arguments.add(place)), FFI_ArrowSchema::from_raw(schemas.add(place))) };
        // SAFETY: pinsql exports valid arrays by Arrow's own code.
        unsafe { from_ffi(array, &schema) }.map(make_array).map_err(|error| error.to_string())
    };
    // All of them, before any error is looked at.
    (0..count).map(taken).collect::<Vec<_>>().into_iter().collect()
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().map(|said| (*said).to_owned()).or_else(|| panic.downcast_ref().cloned());
    let said: String = said.unwrap_or_else(|| "it gave no message".to_owned());
    match PANICKED_AT.with(|last| last.borrow_mut().take()) {
        Some(place) => format!("{said} (at {place})"),
        None => said,
    }
}

fn error_text(said: String) -> ErrorText {
    let mut bytes = std::mem::ManuallyDrop::new(said.into_bytes());
    ErrorText { bytes: bytes.as_mut_ptr(), length: bytes.len(), capacity: bytes.capacity(), release: Some(release) }
}

unsafe extern "C" fn release(error: *mut ErrorText) {
    // SAFETY: pinsql gives back a struct that `error_text` made, once: `release` is taken out of it.
    unsafe {
        let error = &mut *error;
        if error.release.take().is_some() {
            drop(Vec::from_raw_parts(error.bytes, error.length, error.capacity));
        }
    }
}
