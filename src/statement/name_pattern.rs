//! The LIKE patterns of SHOW statements.

use pinsql_base::error::{Error, ErrorCode, Result};

/// Compiles Databricks' pattern for names: `*` matches any characters, `|` separates alternatives, case is ignored. Without a
/// pattern every name matches. Returns INVALID_PATTERN for a pattern that does not compile
/// (<https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-aux-show-tables.html>).
pub fn name_pattern(like: Option<&str>) -> Result<impl Fn(&str) -> bool> {
    let mut set = globset::GlobSetBuilder::new();
    for alternative in like.unwrap_or("*").split('|') {
        let literal: Vec<String> = alternative.trim().split('*').map(globset::escape).collect();
        let glob = globset::GlobBuilder::new(&literal.join("*")).case_insensitive(true).build();
        set.add(glob.map_err(|error| {
            Error::new(ErrorCode::InvalidPattern, format!("`{alternative}` is not a pattern")).caused_by(error)
        })?);
    }
    let set =
        set.build().map_err(|error| Error::new(ErrorCode::InvalidPattern, "this is not a pattern").caused_by(error))?;
    Ok(move |name: &str| set.is_match(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_databricks() {
        for (like, name, expected) in [
            (None, "pin_data", true),
            (Some("pin*"), "pin_data", true),
            (Some("PIN*"), "pin_data", true),
            (Some("geo*|*_data"), "pin_data", true),
            (Some("pin"), "pin_data", false),
            (Some("p?n_data"), "pin_data", false),
        ] {
            assert_eq!(name_pattern(like).unwrap()(name), expected, "{like:?} {name}");
        }
    }
}
