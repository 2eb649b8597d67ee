//! The functions of SQL, with their documentation.

use std::collections::BTreeMap;

use datafusion::logical_expr::{Documentation, Signature, TypeSignature};

use crate::session::Session;
use crate::statement::TABLE_FUNCTIONS;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli::repl) struct Function {
    pub(crate) name: String,
    /// scalar, aggregate, window or table.
    pub(crate) kind: &'static str,
    /// The syntax of a call, such as `upper(str)`.
    pub(crate) call: String,
    /// One sentence.
    pub(crate) description: String,
}

impl Function {
    /// The description in a menu.
    pub(super) fn about(&self) -> String {
        match self.description.is_empty() {
            true => format!("{} ({})", self.call, self.kind),
            false => format!("{}: {}", self.call, self.description),
        }
    }
}

/// All functions, by name.
pub(in crate::cli::repl) fn all(session: &Session) -> Vec<Function> {
    let state = session.state();
    let mut functions = BTreeMap::new();
    let mut add = |name: &str, kind: &'static str, documentation: Option<&Documentation>, signature: &Signature| {
        // Functions that implement operators cannot be called by name.
        if name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
            let function = function(name, kind, documentation, signature);
            functions.insert(name.to_owned(), function);
        }
    };
    for (name, udf) in state.window_functions() {
        add(name, "window", udf.documentation(), udf.signature());
    }
    for (name, udf) in state.aggregate_functions() {
        add(name, "aggregate", udf.documentation(), udf.signature());
    }
    for (name, udf) in state.scalar_functions() {
        add(name, "scalar", udf.documentation(), udf.signature());
    }
    // Functions that are expanded before planning have no documentation.
    let is_no_table = |name: &String| !state.table_functions().contains_key(name);
    for name in session.built_in_functions().into_iter().filter(is_no_table) {
        let call = format!("{name}(…)");
        let undescribed = || Function { name: name.clone(), kind: "built-in", call, description: String::new() };
        functions.entry(name.clone()).or_insert_with(undescribed);
    }
    let mut functions: Vec<Function> = functions.into_values().collect();
    let of_engine = state.table_functions().keys().map(String::as_str);
    functions.extend(TABLE_FUNCTIONS.into_iter().chain(of_engine).map(|name| Function {
        name: name.to_owned(),
        kind: "table",
        call: format!("{name}(…)"),
        description: String::new(),
    }));
    functions.sort_by(|one, other| one.name.cmp(&other.name));
    functions
}

fn function(name: &str, kind: &'static str, documentation: Option<&Documentation>, signature: &Signature) -> Function {
    let documented = documentation.filter(|documentation| documentation.syntax_example.starts_with(name));
    Function {
        name: name.to_owned(),
        kind,
        call: documented.map_or_else(|| call(name, signature), |documentation| documentation.syntax_example.clone()),
        description: documented.map_or_else(String::new, |documentation| first_sentence(&documentation.description)),
    }
}

/// What is known of a function that says nothing of itself: how many arguments it takes.
fn call(name: &str, signature: &Signature) -> String {
    let several = |count: usize| format!("{name}({})", vec!["expr"; count].join(", "));
    match &signature.type_signature {
        TypeSignature::Nullary => format!("{name}()"),
        TypeSignature::Any(count) | TypeSignature::Numeric(count) | TypeSignature::String(count) => several(*count),
        TypeSignature::Uniform(count, _) => several(*count),
        TypeSignature::Exact(types) => several(types.len()),
        _ => format!("{name}(…)"),
    }
}

fn first_sentence(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.split_inclusive(". ").next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_its_first_sentence() {
        assert_eq!(first_sentence("\n  Makes text. In two ways.\nAnd more"), "Makes text.");
        assert_eq!(first_sentence("Uses e.g. this"), "Uses e.g.");
        assert_eq!(first_sentence(""), "");
    }
}
