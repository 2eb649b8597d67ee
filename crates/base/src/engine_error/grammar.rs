//! English in messages: articles of type names, and the plural of a counted noun.

/// `an ARRAY<INT>`, `a STRING`. For the name of a SQL type.
pub fn with_article(type_name: &str) -> String {
    match type_name.starts_with(['A', 'I']) {
        true => format!("an {type_name}"),
        false => format!("a {type_name}"),
    }
}

/// `1 row`, `2 rows`. For a noun whose plural ends in `s`.
pub fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn articles_and_plurals_are_correct() {
        for (name, expected) in [("ARRAY<INT>", "an ARRAY<INT>"), ("INT", "an INT"), ("BIGINT", "a BIGINT")] {
            assert_eq!(with_article(name), expected);
        }
        for (count, expected) in [(0, "0 rows"), (1, "1 row"), (2, "2 rows")] {
            assert_eq!(counted(count, "row"), expected);
        }
    }
}
