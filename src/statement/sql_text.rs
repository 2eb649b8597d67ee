//! Names and texts written as SQL that Databricks reads again.

/// The name, in back-ticks if it is not a plain word, as Spark writes it.
pub(super) fn identifier(name: &str) -> String {
    let is_plain = name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
        && !name.starts_with(|character: char| character.is_ascii_digit());
    if is_plain { name.to_owned() } else { format!("`{}`", name.replace('`', "``")) }
}

/// The text as a string literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_are_escaped() {
        assert_eq!(identifier("pin_data"), "pin_data");
        assert_eq!(
            (identifier("2nd"), identifier("a`b"), identifier("größe")),
            ("`2nd`".into(), "`a``b`".into(), "`größe`".into())
        );
        assert_eq!(literal("it's a \\ and\na line"), r"'it\'s a \\ and\na line'");
    }
}
