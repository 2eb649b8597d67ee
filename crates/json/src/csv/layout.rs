//! Assigns the fields of one file to columns: by name if the file has a header, otherwise by position.

use std::collections::HashSet;

/// The columns of the fields of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CsvLayout {
    pub(super) fields: Vec<LayoutField>,
}

/// One field of each record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LayoutField {
    pub(super) name: String,
    pub(super) target: Target,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The index of a column of the decoder.
    Column(usize),
    /// A column of the table that the decoder does not build.
    NotRead,
    /// The table has no such column.
    Unknown,
}

impl CsvLayout {
    /// Finds each name in `columns`, the columns of the table, with the index of the decoder's column for those that it builds.
    /// Upper and lower case do not differ.
    pub fn by_name(names: Vec<String>, columns: &[(String, Option<usize>)]) -> Self {
        let field = |name: String| {
            let found = columns.iter().find(|(column, _)| is_same(column, &name));
            let target = found.map_or(Target::Unknown, |(_, index)| index.map_or(Target::NotRead, Target::Column));
            LayoutField { name, target }
        };
        Self { fields: names.into_iter().map(field).collect() }
    }

    /// The fields have the order of `columns`.
    pub fn by_position(columns: &[(String, Option<usize>)]) -> Self {
        let field = |(name, index): &(String, Option<usize>)| LayoutField {
            name: name.clone(),
            target: index.map_or(Target::NotRead, Target::Column),
        };
        Self { fields: columns.iter().map(field).collect() }
    }

    /// True if no field belongs to a column.
    pub fn is_unrelated(&self) -> bool {
        self.fields.iter().all(|field| field.target == Target::Unknown)
    }
}

/// True for two spellings of one column.
pub(super) fn is_same(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right) || left.to_lowercase() == right.to_lowercase()
}

/// The names of the columns of a file with this header. As in Spark, an empty name is `_c` with its position, and duplicate names
/// have their position behind them.
pub fn column_names(header: &[String]) -> Vec<String> {
    let (mut seen, mut duplicates) = (HashSet::new(), HashSet::new());
    for name in header {
        let lower = name.to_lowercase();
        if !seen.insert(lower.clone()) {
            duplicates.insert(lower);
        }
    }
    let name = |(position, name): (usize, &String)| match name.as_str() {
        "" => format!("_c{position}"),
        name if duplicates.contains(&name.to_lowercase()) => format!("{name}{position}"),
        name => name.to_owned(),
    };
    header.iter().enumerate().map(name).collect()
}
