//! Writes the request to a server, as one SELECT.
//!
//! Names are quoted and values are parameters, so that neither is read as SQL in any `sql_mode` of the server.

use std::fmt::{self, Write};

use mysql_async::Value;

/// The source of the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Relation {
    /// A table or a view, with its database if one is named.
    Table { database: Option<String>, table: String },
    /// A query that the user wrote.
    Query(String),
}

impl Relation {
    /// Parses `table` or `database.table`, where each part may be in back-ticks.
    pub(super) fn table(written: &str) -> Option<Self> {
        let parts = split_name(written)?;
        match parts.as_slice() {
            [table] => Some(Self::Table { database: None, table: table.clone() }),
            [database, table] => Some(Self::Table { database: Some(database.clone()), table: table.clone() }),
            _ => None,
        }
    }

    pub(super) fn query(written: &str) -> Self {
        Self::Query(written.trim().trim_end_matches(';').trim_end().to_owned())
    }

    fn write(&self, sql: &mut String) {
        match self {
            Self::Table { database, table } => {
                if let Some(database) = database {
                    write_name(sql, database);
                    sql.push('.');
                }
                write_name(sql, table);
            }
            // The query may end in a comment.
            Self::Query(query) => sql.extend(["(", query, "\n) AS pinsql_query"]),
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table { database: Some(database), table } => write!(f, "{database}.{table}"),
            Self::Table { database: None, table } => f.write_str(table),
            Self::Query(_) => f.write_str("(query)"),
        }
    }
}

/// Splits a name at its dots. In back-ticks a dot is an ordinary character, and two back-ticks are one.
fn split_name(written: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut characters = written.trim().chars().peekable();
    let mut is_quoted = false;
    while let Some(character) = characters.next() {
        let part = parts.last_mut()?;
        match character {
            '`' if is_quoted && characters.peek() == Some(&'`') => {
                characters.next();
                part.push('`');
            }
            '`' => is_quoted = !is_quoted,
            '.' if !is_quoted => parts.push(String::new()),
            other => part.push(other),
        }
    }
    (!is_quoted && parts.iter().all(|part| !part.is_empty())).then_some(parts)
}

pub(super) fn write_name(sql: &mut String, name: &str) {
    sql.push('`');
    sql.push_str(&name.replace('`', "``"));
    sql.push('`');
}

/// A condition in MySQL's SQL, with a `?` for each parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    pub sql: String,
    pub parameters: Vec<Value>,
    /// Whether it is true, false or NULL for exactly the same rows as the original condition. If not, it is true at least for all
    /// rows for which the original condition is true.
    pub is_exact: bool,
}

/// The requested rows and columns.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub relation: Relation,
    /// By name. Without columns, the request only counts the rows.
    pub columns: Vec<String>,
    pub conditions: Vec<Condition>,
    pub rows_max: Option<usize>,
}

impl Request {
    /// Every row and column.
    pub(super) fn all(relation: &Relation) -> String {
        let mut sql = "SELECT * FROM ".to_owned();
        relation.write(&mut sql);
        sql
    }

    pub(super) fn sql(&self) -> String {
        let mut sql = String::new();
        match self.columns.as_slice() {
            [] if self.rows_max.is_some() => {
                sql.push_str("SELECT COUNT(*) FROM (SELECT 1");
                self.write_rows(&mut sql);
                sql.push_str(") AS pinsql_rows");
            }
            [] => {
                sql.push_str("SELECT COUNT(*)");
                self.write_rows(&mut sql);
            }
            columns => {
                sql.push_str("SELECT ");
                for (index, column) in columns.iter().enumerate() {
                    sql.push_str(if index == 0 { "" } else { ", " });
                    write_name(&mut sql, column);
                }
                self.write_rows(&mut sql);
            }
        }
        sql
    }

    fn write_rows(&self, sql: &mut String) {
        sql.push_str(" FROM ");
        self.relation.write(sql);
        for (index, condition) in self.conditions.iter().enumerate() {
            sql.push_str(if index == 0 { " WHERE " } else { " AND " });
            sql.push_str(&condition.sql);
        }
        if let Some(rows_max) = self.rows_max {
            // Writing to a String cannot fail.
            let _ = write!(sql, " LIMIT {rows_max}");
        }
    }

    pub(super) fn parameters(&self) -> Vec<Value> {
        self.conditions.iter().flat_map(|condition| condition.parameters.iter().cloned()).collect()
    }
}

/// The form in EXPLAIN: the SELECT, and the values of its parameters.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sql={}", self.sql())?;
        let parameters = self.parameters();
        if !parameters.is_empty() {
            let shown: Vec<String> = parameters.iter().map(|value| value.as_sql(true)).collect();
            write!(f, ", parameters=[{}]", shown.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(columns: &[&str], rows_max: Option<usize>) -> Request {
        let condition =
            |sql: &str, value: i64| Condition { sql: sql.to_owned(), parameters: vec![value.into()], is_exact: true };
        Request {
            relation: Relation::table("pins.`a``b`").unwrap(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            conditions: vec![condition("(`x` > ?)", 1), condition("(`y` < ?)", 2)],
            rows_max,
        }
    }

    #[test]
    fn names_are_quoted_and_values_are_parameters() {
        assert_eq!(
            request(&["x", "o`dd"], Some(5)).to_string(),
            "sql=SELECT `x`, `o``dd` FROM `pins`.`a``b` WHERE (`x` > ?) AND (`y` < ?) LIMIT 5, parameters=[1, 2]"
        );
    }

    #[test]
    fn rows_without_columns_are_counted_by_the_server() {
        let from = "FROM `pins`.`a``b` WHERE (`x` > ?) AND (`y` < ?)";
        assert_eq!(request(&[], None).sql(), format!("SELECT COUNT(*) {from}"));
        assert_eq!(
            request(&[], Some(5)).sql(),
            format!("SELECT COUNT(*) FROM (SELECT 1 {from} LIMIT 5) AS pinsql_rows")
        );
    }

    #[test]
    fn a_query_of_the_user_is_a_subquery() {
        let relation = Relation::query(" SELECT 1 AS one -- all\n; ");
        assert_eq!(Request::all(&relation), "SELECT * FROM (SELECT 1 AS one -- all\n) AS pinsql_query");
    }

    #[test]
    fn a_tables_name_has_one_or_two_parts() {
        assert_eq!(Relation::table("`my.table`").unwrap().to_string(), "my.table");
        assert_eq!(Relation::table("db.`my.table`").unwrap().to_string(), "db.my.table");
        for wrong in ["", "a.b.c", "a.", "`a", "."] {
            assert_eq!(Relation::table(wrong), None, "{wrong}");
        }
    }
}
