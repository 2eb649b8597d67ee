//! Opens a library and finds a function in it. Each fault of the library is its own error.

use std::ffi::{CStr, c_char};
use std::path::Path;

use libloading::Library;
use pinsql_udf::abi;

use super::LibraryFunction;
use pinsql_base::error::{Error, ErrorCode, Result, nearest};
use pinsql_base::schema::parse_type;

/// The largest number of functions of a library, and of parameters of a function. A table with more is damaged.
const FUNCTIONS_MAX: usize = 10_000;
const PARAMETERS_MAX: usize = 1_000;

/// Loads the function `exported` of the library at `path`, with the name `called` in SQL. The library is opened and stays loaded.
///
/// Errors: the file is not a library for this version of the interface, or does not have the function.
pub fn load(path: &str, exported: &str, called: &str) -> Result<LibraryFunction> {
    let table = open(path)?;
    let claimed = table.functions_count;
    if claimed > FUNCTIONS_MAX || (table.functions.is_null() && claimed > 0) {
        return Err(broken(path, &format!("it claims to have {claimed} functions")));
    }
    let functions: &'static [abi::Exported] = match claimed {
        0 => &[],
        // SAFETY: the pointer is not null, and by the ABI the table has so many functions for the life of the process.
        count => unsafe { std::slice::from_raw_parts(table.functions, count) },
    };
    let names = functions.iter().map(|function| text(path, function.name)).collect::<Result<Vec<_>>>()?;
    let Some(position) = names.iter().position(|name| name.eq_ignore_ascii_case(exported)) else {
        let error = Error::new(ErrorCode::InvalidLibrary, format!("the library {path} has no function `{exported}`"));
        return Err(match nearest(exported, names.iter().map(String::as_str)) {
            Some(near) => {
                error.with_hint(format!("did you mean `{near}`? CREATE FUNCTION {called} AS '{near}' USING LIBRARY …"))
            }
            None if names.is_empty() => {
                error.with_hint("it has no functions: does one of them panic when it returns its name or types?")
            }
            None => error.with_hint(format!(
                "it has {}: CREATE FUNCTION name AS '{}' USING LIBRARY …",
                names.join(", "),
                names[0]
            )),
        });
    };
    function(path, &functions[position], &names[position], called)
}

fn function(path: &str, function: &'static abi::Exported, exported: &str, called: &str) -> Result<LibraryFunction> {
    let count = function.parameters_count;
    if count > PARAMETERS_MAX || (function.parameters.is_null() && count > 0) {
        return Err(broken(path, &format!("`{exported}` claims to have {count} parameters")));
    }
    let parameters: &[*const c_char] = match count {
        0 => &[],
        // SAFETY: the pointer is not null, and by the ABI the function has so many parameters for the life of the process.
        count => unsafe { std::slice::from_raw_parts(function.parameters, count) },
    };
    let data_type = |sql: *const c_char| {
        let sql = text(path, sql)?;
        parse_type(&sql).map_err(|error| {
            Error::new(
                ErrorCode::InvalidLibrary,
                format!("the function `{exported}` of the library {path} has the unknown type `{sql}`"),
            )
            .caused_by(error)
        })
    };
    let parameters = parameters.iter().map(|sql| data_type(*sql)).collect::<Result<Vec<_>>>()?;
    let result = data_type(function.returns)?;
    let documentation = text(path, function.documentation)?;
    LibraryFunction::new(path, exported, called, (parameters, result), documentation, function)
}

fn open(path: &str) -> Result<&'static abi::Library> {
    if path.contains("://") {
        return Err(Error::new(ErrorCode::InvalidLibrary, format!("{path} is not a local file"))
            .with_hint("a library is loaded from a local path"));
    }
    if !Path::new(path).is_file() {
        return Err(Error::new(ErrorCode::InvalidLibrary, format!("there is no library {path}"))
            .with_hint("the path is that of a file, and relative to the folder that pinsql runs in"));
    }
    // Without a slash the loader would look in the system's folders.
    let file = std::path::absolute(path).map_err(|error| {
        Error::new(ErrorCode::InvalidLibrary, format!("{path} is not a valid path")).caused_by(error)
    })?;
    // SAFETY: loading a library runs its initializers. The user named the library, and it runs with the rights of the user.
    let library = unsafe { Library::new(&file) }.map_err(|error| {
        Error::new(ErrorCode::InvalidLibrary, format!("{path} cannot be loaded as a library"))
            .caused_by(error)
            .with_hint(
                "it has to be a shared library (crate-type = [\"cdylib\"]) for this machine's system and processor",
            )
    })?;
    // SAFETY: the ABI reserves this symbol for a function of this type.
    let table = unsafe { library.get::<unsafe extern "C" fn() -> *const abi::Library>(abi::SYMBOL.as_bytes()) };
    let table = match table {
        Ok(table) => *table,
        Err(error) => {
            return Err(Error::new(
                ErrorCode::InvalidLibrary,
                format!("the library {path} has no functions for this version of pinsql"),
            )
            .caused_by(error)
            .with_hint(format!("it does not export `{}`: pinsql_udf::library![…] does", abi::SYMBOL)));
        }
    };
    // The library stays loaded, because its columns, errors and code can be in use anywhere.
    std::mem::forget(library);
    // SAFETY: the ABI reserves this symbol for a function without arguments, and the library is loaded.
    let table = unsafe { table() };
    if table.is_null() || !table.is_aligned() {
        return Err(broken(path, "it returns no table of functions"));
    }
    // SAFETY: the pointer is not null and aligned. By the ABI the first two fields are the same in all versions.
    let (magic, version) = unsafe { ((*table).magic, (*table).version) };
    if magic != abi::MAGIC {
        return Err(broken(path, "its table of functions is not valid"));
    }
    if version != abi::VERSION {
        return Err(Error::new(
            ErrorCode::InvalidLibrary,
            format!(
                "the library {path} is built for version {version} of the interface, and this pinsql has version {}",
                abi::VERSION
            ),
        )
        .with_hint("build it again with the pinsql-udf of this pinsql"));
    }
    // SAFETY: the magic number and the version match, so the table has all fields. It is valid for the life of the process.
    Ok(unsafe { &*table })
}

fn broken(path: &str, what: &str) -> Error {
    Error::new(ErrorCode::InvalidLibrary, format!("the library {path} is broken: {what}"))
}

fn text(path: &str, text: *const c_char) -> Result<String> {
    if text.is_null() {
        return Err(broken(path, "a text is missing in its table of functions"));
    }
    // SAFETY: the pointer is not null. By the ABI the text ends with a NUL and is valid for the life of the process.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map(str::to_owned).map_err(|_| broken(path, "a text in its table of functions is not UTF-8"))
}
