//! Opens a library and looks for a function in it. Everything that is wrong with it is an error that says what.

use std::ffi::{CStr, c_char};
use std::path::Path;

use libloading::Library;
use pinsql_udf::abi;

use super::LibraryFunction;
use pinsql_base::error::{Error, ErrorCode, Result, nearest};
use pinsql_base::schema::parse_type;

/// The most functions, and parameters of one, that a library may claim to have: a claim beyond is a broken table.
const FUNCTIONS_MAX: usize = 10_000;
const PARAMETERS_MAX: usize = 1_000;

/// The function that the library at `path` exports as `exported`, to be called `called` in SQL.
pub fn load(path: &str, exported: &str, called: &str) -> Result<LibraryFunction> {
    let table = open(path)?;
    let claimed = table.functions_count;
    if claimed > FUNCTIONS_MAX || (table.functions.is_null() && claimed > 0) {
        return Err(broken(path, &format!("it claims to have {claimed} functions")));
    }
    // SAFETY: the table says that so many functions are there, for as long as the process lives.
    let functions: &'static [abi::Exported] = match claimed {
        0 => &[],
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
                error.with_hint("it has none at all: does one panic when it says its name or types?")
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
    // SAFETY: the table says that so many texts are there, for as long as the process lives.
    let parameters: &[*const c_char] = match count {
        0 => &[],
        count => unsafe { std::slice::from_raw_parts(function.parameters, count) },
    };
    let data_type = |sql: *const c_char| {
        let sql = text(path, sql)?;
        parse_type(&sql).map_err(|error| {
            Error::new(
                ErrorCode::InvalidLibrary,
                format!("the function `{exported}` of the library {path} has a type that is not known: `{sql}`"),
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
        return Err(Error::new(ErrorCode::InvalidLibrary, format!("{path} is not a file of this machine"))
            .with_hint("a library is loaded from a local path"));
    }
    if !Path::new(path).is_file() {
        return Err(Error::new(ErrorCode::InvalidLibrary, format!("there is no library {path}"))
            .with_hint("the path is that of a file, and relative to the folder that pinsql runs in"));
    }
    // Without a slash the loader would look in the system's folders.
    let file = std::path::absolute(path)
        .map_err(|error| Error::new(ErrorCode::InvalidLibrary, format!("{path} is no path")).caused_by(error))?;
    // SAFETY: to load a library is to run its initializers. The user has named it, and it has all the user's rights.
    let library = unsafe { Library::new(&file) }.map_err(|error| {
        Error::new(ErrorCode::InvalidLibrary, format!("{path} cannot be loaded as a library"))
            .caused_by(error)
            .with_hint(
                "it has to be a shared library (crate-type = [\"cdylib\"]) for this machine's system and processor",
            )
    })?;
    // SAFETY: a library that exports this name says that it is a function of this type.
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
    // It stays loaded: what it has given may be anywhere.
    std::mem::forget(library);
    // SAFETY: as above; the function takes nothing.
    let table = unsafe { table() };
    if table.is_null() || !table.is_aligned() {
        return Err(broken(path, "it gives no table of functions"));
    }
    // SAFETY: the pointer is one that the library gave for this; the two first fields are the same in all versions.
    let (magic, version) = unsafe { ((*table).magic, (*table).version) };
    if magic != abi::MAGIC {
        return Err(broken(path, "its table of functions is none"));
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
    // SAFETY: a table of this version has all the fields, and lives as long as the process.
    Ok(unsafe { &*table })
}

fn broken(path: &str, what: &str) -> Error {
    Error::new(ErrorCode::InvalidLibrary, format!("the library {path} is broken: {what}"))
}

fn text(path: &str, text: *const c_char) -> Result<String> {
    if text.is_null() {
        return Err(broken(path, "a text is missing in its table of functions"));
    }
    // SAFETY: texts of the table end with a NUL and live as long as the process.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map(str::to_owned).map_err(|_| broken(path, "a text in its table of functions is not UTF-8"))
}
