//! The functions that exist only before planning.
//!
//! The passes of `statement::query` replace their calls (`spark_forms`, `scalar_calls`, `aggregate_calls`, `session_facts`), so
//! DataFusion does not have them. Their names are here because a session lists all built-in functions, and no user function may
//! have the name of one.

/// The names, in lower case and in alphabetical order.
pub(super) const NAMES: [&str; 38] = [
    "approx_count_distinct",
    "bigint",
    "binary",
    "boolean",
    "collect_set",
    "count_if",
    "curdate",
    "current_catalog",
    "current_database",
    "current_schema",
    "current_timezone",
    "date",
    "decimal",
    "double",
    "equal_null",
    "first",
    "float",
    "if",
    "iff",
    "ilike",
    "int",
    "last",
    "like",
    "mod",
    "negative",
    "nullifzero",
    "percentile_disc",
    "smallint",
    "string",
    "timestamp",
    "timestamp_seconds",
    "tinyint",
    "to_unix_timestamp",
    "try_divide",
    "try_mod",
    "try_to_date",
    "unix_timestamp",
    "zeroifnull",
];
