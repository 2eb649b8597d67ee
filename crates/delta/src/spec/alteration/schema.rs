//! Edits the JSON schema of the log: finds a field by its path, inserts a field, moves a field.
//!
//! A path names fields of structs, `element` of an array, and `key` and `value` of a map, as in Databricks. Names are not
//! case-sensitive.

use serde_json::Value;

use super::ColumnPosition;
use pinsql_base::error::{Error, ErrorCode, Result, nearest};

/// The field at `path`.
pub(super) fn field<'a>(schema: &'a mut Value, path: &[String]) -> Result<&'a mut Value> {
    let (name, parents) = path.split_last().ok_or_else(|| Error::internal("a column without a name"))?;
    let fields = fields(schema, parents)?;
    let at = position(fields, name, parents)?;
    Ok(&mut fields[at])
}

/// Inserts a field into the struct at `parents`.
pub(super) fn insert_field(
    schema: &mut Value,
    parents: &[String],
    field: Value,
    wanted: Option<&ColumnPosition>,
) -> Result<()> {
    let fields = fields(schema, parents)?;
    let name = name_of(&field);
    if fields.iter().any(|there| name_of(there).eq_ignore_ascii_case(name)) {
        let said = format!("there is a column {} already", shown(parents, name));
        return Err(Error::new(ErrorCode::DuplicateColumn, said).with_hint("upper and lower case do not differ"));
    }
    let at = match wanted {
        Some(wanted) => place(fields, parents, wanted)?,
        None => fields.len(),
    };
    fields.insert(at, field);
    Ok(())
}

/// Moves the field at `path` within its struct.
pub(super) fn move_field(schema: &mut Value, path: &[String], wanted: &ColumnPosition) -> Result<()> {
    let (name, parents) = path.split_last().ok_or_else(|| Error::internal("a column without a name"))?;
    let fields = fields(schema, parents)?;
    if let ColumnPosition::After(after) = wanted
        && after.eq_ignore_ascii_case(name)
    {
        return Err(Error::new(
            ErrorCode::InvalidTableDefinition,
            format!("the column {} cannot come after itself", shown(parents, name)),
        ));
    }
    let moved = fields.remove(position(fields, name, parents)?);
    let at = place(fields, parents, wanted)?;
    fields.insert(at, moved);
    Ok(())
}

fn place(fields: &[Value], parents: &[String], wanted: &ColumnPosition) -> Result<usize> {
    match wanted {
        ColumnPosition::First => Ok(0),
        ColumnPosition::After(name) => Ok(position(fields, name, parents)? + 1),
    }
}

/// The fields of the struct at `path`.
fn fields<'a>(schema: &'a mut Value, path: &[String]) -> Result<&'a mut Vec<Value>> {
    let mut at = schema;
    for (depth, name) in path.iter().enumerate() {
        at = step(at, name, &path[..depth])?;
    }
    let is_struct = at["type"] == "struct";
    // A simple type is a JSON string, which has no members.
    match at.get_mut("fields") {
        Some(Value::Array(fields)) if is_struct => Ok(fields),
        _ => {
            Err(Error::new(ErrorCode::UnresolvedField, format!("{} is not a STRUCT and has no fields", path.join("."))))
        }
    }
}

/// The type of the member `name` of the type `at`.
fn step<'a>(at: &'a mut Value, name: &str, parents: &[String]) -> Result<&'a mut Value> {
    let inner = match at["type"].as_str() {
        Some("array") if name.eq_ignore_ascii_case("element") => "elementType",
        Some("map") if name.eq_ignore_ascii_case("key") => "keyType",
        Some("map") if name.eq_ignore_ascii_case("value") => "valueType",
        Some("struct") => {
            let fields = at["fields"]
                .as_array_mut()
                .ok_or_else(|| Error::new(ErrorCode::InvalidDeltaLog, "a struct without fields"))?;
            let place = position(fields, name, parents)?;
            return Ok(&mut fields[place]["type"]);
        }
        _ => {
            let said = format!("{} is not a STRUCT and has no field {name}", parents.join("."));
            return Err(Error::new(ErrorCode::UnresolvedField, said)
                .with_hint("a field of an array is a.element.f, one of a map m.value.f"));
        }
    };
    Ok(&mut at[inner])
}

fn position(fields: &[Value], name: &str, parents: &[String]) -> Result<usize> {
    fields.iter().position(|field| name_of(field).eq_ignore_ascii_case(name)).ok_or_else(|| {
        let error =
            Error::new(ErrorCode::UnresolvedColumn, format!("the table has no column {}", shown(parents, name)));
        match nearest(name, fields.iter().map(name_of)) {
            Some(near) => error.with_hint(format!("did you mean {near}?")),
            None => error,
        }
    })
}

fn name_of(field: &Value) -> &str {
    field["name"].as_str().unwrap_or_default()
}

fn shown(parents: &[String], name: &str) -> String {
    parents.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(".")
}
