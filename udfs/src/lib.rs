//! Functions for the SQL of the pipeline. Neither Databricks nor DataFusion has them.
//!
//! The crate depends only on DataFusion's UDF API, so it is also a template for other crates of functions. Each function has
//! one file with its rule, its documentation and its tests, and a SQL test in `slt/<function>.slt`. There is no function for an
//! operation that is simple in plain SQL (concatenation, `CASE`, casts).

mod age_group;
mod null_if_any;
mod parse_count;
mod strip_prefix;

use datafusion::logical_expr::ScalarUDF;

/// All functions of this crate. A function that is not in this list does not exist in SQL.
pub fn all() -> Vec<ScalarUDF> {
    vec![
        ScalarUDF::new_from_impl(age_group::AgeGroup::new()),
        ScalarUDF::new_from_impl(null_if_any::NullIfAny::new()),
        ScalarUDF::new_from_impl(parse_count::ParseCount::new()),
        ScalarUDF::new_from_impl(strip_prefix::StripPrefix::new()),
    ]
}

#[cfg(test)]
mod tests {
    use super::all;

    #[test]
    fn every_function_is_documented_and_has_a_unique_name() {
        let functions = all();
        for function in &functions {
            let documentation = function.documentation().unwrap_or_else(|| panic!("{} says nothing", function.name()));
            assert!(documentation.syntax_example.starts_with(function.name()), "{}", documentation.syntax_example);
            assert!(documentation.sql_example.is_some(), "{} has no example", function.name());
            assert!(function.aliases().is_empty(), "{} has a second name", function.name());
        }
        let mut names: Vec<_> = functions.iter().map(|function| function.name()).collect();
        names.dedup();
        assert_eq!(names.len(), functions.len());
    }

    #[test]
    fn every_function_has_a_file_of_sql_tests() {
        for function in all() {
            let path = format!("{}/slt/{}.slt", env!("CARGO_MANIFEST_DIR"), function.name());
            assert!(std::path::Path::new(&path).is_file(), "{path} is missing");
        }
    }
}
