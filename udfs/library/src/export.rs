//! The library's side of the interface: converts functions to C structs, and C calls to Rust calls.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::{Array, ArrayRef, make_array};
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi, to_ffi};

use crate::abi::{DONE, ErrorText, Exported, FAILED, Library, MAGIC, PANICKED, VERSION};
use crate::{Function, Volatility};

thread_local! {
    /// The location of the last panic of this thread.
    static PANICKED_AT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Creates the tables of all functions. They live as long as the process. A panic in the description of a function gives a
/// library without functions.
pub fn export(functions: impl FnOnce() -> Vec<Box<dyn Function>>) -> &'static Library {
    // This hook is in the library's copy of the standard library. Its panics become errors, and are not printed.
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
        // A trait object has no thin pointer, so it gets a second box. The box is never freed.
        context: std::ptr::from_ref::<Box<dyn Function>>(Box::leak(Box::new(function))).cast::<c_void>(),
        evaluate,
    }
}

/// A C string that lives as long as the process. It ends at its first NUL.
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
        // SAFETY: pinsql passes the context that `exported` created. Its box is never dropped.
        let function = unsafe { &*context.cast::<Box<dyn Function>>() };
        // SAFETY: pinsql passes `arguments_count` arrays and schemas, and gives this call their ownership.
        let arguments = unsafe { take(arguments, schemas, arguments_count) }?;
        let result = function.evaluate(&arguments, rows)?;
        to_ffi(&result.to_data()).map_err(|error| error.to_string())
    };
    let (code, message) = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok((array, schema))) => {
            // SAFETY: both point to empty, writable structs of pinsql.
            unsafe {
                result.write(array);
                result_schema.write(schema);
            }
            return DONE;
        }
        Ok(Err(message)) => (FAILED, message),
        Err(panic) => (PANICKED, panic_text(panic.as_ref())),
    };
    // SAFETY: `error` points to an empty, writable struct of pinsql.
    unsafe { error.write(error_text(message)) };
    code
}

/// Takes ownership of the arguments. From here, this side frees them in any case.
unsafe fn take(
    arguments: *mut FFI_ArrowArray,
    schemas: *mut FFI_ArrowSchema,
    count: usize,
) -> Result<Vec<ArrayRef>, String> {
    let taken = |place: usize| {
        // SAFETY: the caller guarantees `count` of both. Each read leaves an empty struct behind.
        let (array, schema) =
            unsafe { (FFI_ArrowArray::from_raw(arguments.add(place)), FFI_ArrowSchema::from_raw(schemas.add(place))) };
        // SAFETY: pinsql exports the arrays with Arrow's own code, so they are valid.
        unsafe { from_ffi(array, &schema) }.map(make_array).map_err(|error| error.to_string())
    };
    // All of them are taken before the first error is returned.
    (0..count).map(taken).collect::<Vec<_>>().into_iter().collect()
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let message =
        panic.downcast_ref::<&str>().map(|message| (*message).to_owned()).or_else(|| panic.downcast_ref().cloned());
    let message: String = message.unwrap_or_else(|| "it gave no message".to_owned());
    match PANICKED_AT.with(|last| last.borrow_mut().take()) {
        Some(place) => format!("{message} (at {place})"),
        None => message,
    }
}

fn error_text(message: String) -> ErrorText {
    let mut bytes = std::mem::ManuallyDrop::new(message.into_bytes());
    ErrorText { bytes: bytes.as_mut_ptr(), length: bytes.len(), capacity: bytes.capacity(), release: Some(release) }
}

unsafe extern "C" fn release(error: *mut ErrorText) {
    // SAFETY: pinsql passes a struct that `error_text` created, and does so once: `release` is removed from it.
    unsafe {
        let error = &mut *error;
        if error.release.take().is_some() {
            drop(Vec::from_raw_parts(error.bytes, error.length, error.capacity));
        }
    }
}
