//! Queries: SELECT, set operations, WITH, ORDER BY and LIMIT, and the subqueries in expressions.

use super::expressions::{Column, Generator, Scope};
use super::tables::Kind;

/// The text of a query, and the kinds of its columns `c1`, `c2`, ….
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) sql: String,
    pub(crate) kinds: Vec<Kind>,
}

impl Generator {
    /// A whole statement.
    pub(crate) fn statement(&mut self) -> String {
        let depth = self.draw.between(0, 3);
        self.query(&[], None, depth).sql
    }

    /// A query with columns of these kinds, or of any.
    pub(crate) fn query(&mut self, outer: &[Column], kinds: Option<&[Kind]>, depth: usize) -> Written {
        let shared = self.shared.len();
        let with = if depth > 1 && self.draw.chance(20) { self.with(depth - 1) } else { String::new() };
        let kinds: Option<Vec<Kind>> = kinds.map(<[Kind]>::to_vec);
        let mut written = match self.draw.chance(14) && depth > 0 {
            true => self.set_operation(outer, kinds, depth),
            false => self.select(outer, kinds.as_deref(), depth),
        };
        self.shared.truncate(shared);
        let order = if self.draw.chance(20) { self.order_all(&written.kinds) } else { String::new() };
        written.sql = format!("{with}{}{order}", written.sql);
        written
    }

    /// ORDER BY all columns, and a limit. Empty if a column has no order.
    fn order_all(&mut self, kinds: &[Kind]) -> String {
        if kinds.iter().any(|kind| !kind.is_ordered()) {
            return String::new();
        }
        let direction = |generator: &mut Self| *generator.draw.pick(&["", " DESC", " NULLS LAST", " DESC NULLS FIRST"]);
        let keys: Vec<String> = (1..=kinds.len()).map(|number| format!("{number}{}", direction(self))).collect();
        let limit =
            *self.draw.pick(&["", " LIMIT 3", " LIMIT 1", " LIMIT 2 OFFSET 1", " OFFSET 2", " LIMIT 0", " LIMIT ALL"]);
        format!(" ORDER BY {}{limit}", keys.join(", "))
    }

    fn with(&mut self, depth: usize) -> String {
        let count = self.draw.between(1, 2);
        let mut parts = Vec::new();
        for _ in 0..count {
            let name = self.name("w");
            if self.draw.chance(20) {
                let step = self.draw.pick(&["c1 + 1", "c1 * 2 + 1", "c1 + 2"]).to_string();
                let end = self.draw.between(2, 6);
                let union = "UNION ALL";
                parts
                    .push(format!("{name}(c1) AS (SELECT 1 AS c1 {union} SELECT {step} FROM {name} WHERE c1 < {end})"));
                self.shared.push((name, vec![Kind::Integer]));
                continue;
            }
            let written = self.query(&[], None, depth.min(2) - 1);
            parts.push(format!("{name} AS ({})", written.sql));
            self.shared.push((name, written.kinds));
        }
        let recursive = if parts.iter().any(|part| part.contains("(c1) AS")) { "RECURSIVE " } else { "" };
        format!("WITH {recursive}{} ", parts.join(", "))
    }

    fn set_operation(&mut self, outer: &[Column], kinds: Option<Vec<Kind>>, depth: usize) -> Written {
        let kinds = kinds.unwrap_or_else(|| {
            let count = self.draw.between(1, 3);
            (0..count).map(|_| self.ordered_kind(&Scope::default())).collect()
        });
        let left = self.select(outer, Some(&kinds), depth - 1);
        let right = self.select(outer, Some(&kinds), depth - 1);
        let operators = [
            "UNION ALL",
            "UNION ALL",
            "UNION ALL",
            "UNION",
            "UNION",
            "INTERSECT",
            "INTERSECT",
            "EXCEPT",
            "MINUS",
            "EXCEPT ALL",
        ];
        let mut sql = format!("{} {} {}", left.sql, self.draw.pick(&operators), right.sql);
        if self.draw.chance(15) {
            let third = self.select(outer, Some(&kinds), 0);
            sql = format!("{sql} {} {}", self.draw.pick(&operators), third.sql);
        }
        Written { sql, kinds }
    }

    fn select(&mut self, outer: &[Column], kinds: Option<&[Kind]>, depth: usize) -> Written {
        let mut scope = Scope { outer: outer.to_vec(), subqueries: depth, ..Scope::default() };
        let from = if self.draw.chance(97) { self.from(&mut scope, depth) } else { String::new() };
        let condition = match self.draw.chance(45) && !from.is_empty() {
            true => format!(" WHERE {}", self.condition(&scope, 2)),
            false => String::new(),
        };
        let kinds = kinds.map(<[Kind]>::to_vec).unwrap_or_else(|| {
            let count = self.draw.between(1, 4);
            (0..count).map(|_| self.kind(&scope)).collect()
        });
        let grouped = self.draw.chance(25) && !from.is_empty();
        let mut tail = String::new();
        if grouped {
            tail = self.group_by(&mut scope);
        } else {
            scope.windows = true;
        }
        let mut items = Vec::new();
        for (number, kind) in kinds.iter().enumerate() {
            items.push(format!("{} AS c{}", self.expression(&scope, *kind, 2), number + 1));
        }
        let mut distinct = "";
        if grouped && self.draw.chance(25) {
            scope.subqueries = scope.subqueries.min(1);
            tail.push_str(&format!(" HAVING {}", self.condition(&scope, 1)));
        } else if !grouped && !from.is_empty() && self.draw.chance(4) {
            let scope = Scope { subqueries: 0, ..scope.clone() };
            tail.push_str(&format!(" QUALIFY ({} > 1)", self.window(&scope, Kind::Integer)));
        } else if !grouped && self.draw.chance(8) {
            distinct = "DISTINCT ";
        }
        Written { sql: format!("SELECT {distinct}{}{from}{condition}{tail}", items.join(", ")), kinds }
    }

    /// GROUP BY, after which the scope has the keys as columns, and aggregates over the earlier columns.
    fn group_by(&mut self, scope: &mut Scope) -> String {
        let count = *self.draw.pick(&[0, 1, 1, 1, 2, 2, 3]);
        let mut keys: Vec<Column> = Vec::new();
        let rows = Scope { columns: scope.columns.clone(), ..Scope::default() };
        for _ in 0..count {
            let kind = self.kind(&rows);
            let plain = self.draw.chance(60);
            let of_kind: Vec<&Column> = rows.columns.iter().filter(|column| column.kind == kind).collect();
            let sql = match of_kind.is_empty() || !plain {
                true => self.expression(&rows, kind, 2),
                false => self.draw.pick(&of_kind).sql.clone(),
            };
            // A number would be the place of an item.
            if sql.parse::<f64>().is_err() && !keys.iter().any(|key| key.sql == sql) {
                keys.push(Column { sql, kind });
            }
        }
        scope.aggregated = Some(std::mem::replace(&mut scope.columns, keys.clone()));
        // The keys of a grouping set are not columns that a subquery can name.
        let names: Vec<&str> = keys.iter().map(|key| key.sql.as_str()).collect();
        let all = names.join(", ");
        if keys.is_empty() {
            return String::new();
        }
        match self.draw.below(12) {
            0 => format!(" GROUP BY ROLLUP ({all})"),
            1 => format!(" GROUP BY CUBE ({all})"),
            2 => {
                scope.columns.push(Column { sql: format!("grouping({})", names[0]), kind: Kind::Integer });
                format!(" GROUP BY {all}, ROLLUP ({})", names[0])
            }
            3 => format!(" GROUP BY GROUPING SETS (({all}), ())"),
            4 => {
                scope.columns.push(Column { sql: "grouping_id()".to_owned(), kind: Kind::Integer });
                format!(" GROUP BY GROUPING SETS (({}), ({all}), ())", names[0])
            }
            _ => format!(" GROUP BY {all}"),
        }
    }

    /// The columns that a subquery in an expression of `scope` can read: only names.
    fn visible(scope: &Scope) -> Vec<Column> {
        let is_name = |column: &&Column| {
            column.sql.chars().all(|letter| letter.is_alphanumeric() || letter == '.' || letter == '_')
        };
        scope.columns.iter().filter(is_name).cloned().collect()
    }

    pub(crate) fn scalar_subquery(&mut self, scope: &Scope, kind: Kind) -> String {
        if kind == Kind::Map {
            return self.leaf(scope, kind);
        }
        let (mut inner, from, condition) = self.inner_query(scope);
        inner.aggregated = Some(std::mem::take(&mut inner.columns));
        inner.subqueries = 0;
        let value = match self.draw.below(4) {
            0 => format!("coalesce({}, {})", self.aggregate(&inner, kind), self.draw.pick(kind.literals())),
            1 => format!("{}{from}{condition} LIMIT 1", self.draw.pick(kind.literals())),
            _ => self.aggregate(&inner, kind),
        };
        if value.ends_with("LIMIT 1") {
            return format!("(SELECT {value})");
        }
        format!("(SELECT {value}{from}{condition})")
    }

    /// The scope of a subquery, its FROM clause and its WHERE clause.
    fn inner_query(&mut self, scope: &Scope) -> (Scope, String, String) {
        let outer = if self.draw.chance(60) { Self::visible(scope) } else { Vec::new() };
        let mut inner = Scope { outer, subqueries: scope.subqueries - 1, ..Scope::default() };
        let from = self.from(&mut inner, scope.subqueries - 1);
        let condition = match self.draw.chance(70) {
            true => format!(" WHERE {}", self.correlation(&inner)),
            false => String::new(),
        };
        (inner, from, condition)
    }

    /// A condition of a subquery. If there are columns around the query, most often an equality with one of them.
    fn correlation(&mut self, inner: &Scope) -> String {
        let mut pairs = Vec::new();
        for column in &inner.columns {
            pairs.extend(
                inner
                    .outer
                    .iter()
                    .filter(|outer| outer.kind == column.kind && column.kind.is_ordered())
                    .map(|outer| (column, outer)),
            );
        }
        if pairs.is_empty() || self.draw.chance(20) {
            return self.condition(inner, 1);
        }
        let (column, outer) = *self.draw.pick(&pairs);
        let operator = *self.draw.pick(&["=", "=", "=", "=", "<=>", "<", "<>", ">="]);
        let equality = format!("{} {operator} {}", column.sql, outer.sql);
        match self.draw.below(4) {
            0 => format!("({equality} AND {})", self.condition(inner, 1)),
            1 => format!("({equality} OR {})", self.condition(inner, 1)),
            _ => equality,
        }
    }

    pub(crate) fn subquery_condition(&mut self, scope: &Scope) -> String {
        let (mut inner, from, condition) = self.inner_query(scope);
        let not = *self.draw.pick(&["", "", "NOT "]);
        if self.draw.chance(40) {
            let item = *self.draw.pick(&["1", "*", "count(*)"]);
            let limit = *self.draw.pick(&["", "", "", " LIMIT 1", " OFFSET 1"]);
            return format!("({not}EXISTS (SELECT {item}{from}{condition}{limit}))");
        }
        let kind = self.ordered_kind(&inner);
        let value = self.expression(&Scope { subqueries: 0, ..scope.clone() }, kind, 1);
        inner.subqueries = 0;
        let tail = if self.draw.chance(12) { self.group_by(&mut inner) } else { String::new() };
        let item = self.expression(&inner, kind, 1);
        if self.draw.chance(8) {
            let second = self.ordered_kind(&inner);
            let plain = Scope { subqueries: 0, ..scope.clone() };
            let (left, right) = (self.expression(&plain, second, 0), self.expression(&inner, second, 0));
            return format!("(({value}, {left}) {not}IN (SELECT {item}, {right}{from}{condition}{tail}))");
        }
        format!("({value} {not}IN (SELECT {item}{from}{condition}{tail}))")
    }
}
