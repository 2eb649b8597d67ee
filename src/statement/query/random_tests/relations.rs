//! FROM: tables, queries, VALUES, joins, LATERAL.

use super::expressions::{Column, Generator, Scope};
use super::tables::{Kind, TABLES};

/// A relation of a FROM clause: its text with its alias, and its columns.
#[derive(Debug)]
struct Relation {
    sql: String,
    alias: String,
    columns: Vec<(String, Kind)>,
}

impl Relation {
    fn qualified(&self) -> Vec<Column> {
        let column = |(name, kind): &(String, Kind)| Column { sql: format!("{}.{name}", self.alias), kind: *kind };
        self.columns.iter().map(column).collect()
    }
}

impl Generator {
    /// ` FROM …`. The columns go into the scope.
    pub(crate) fn from(&mut self, scope: &mut Scope, depth: usize) -> String {
        let first = self.relation(depth);
        scope.columns = first.qualified();
        let mut sql = format!(" FROM {}", first.sql);
        let joins = *self.draw.pick(&[0, 0, 0, 1, 1, 2]);
        let mut joined = vec![first];
        for number in 1..=joins {
            self.join(scope, &mut sql, &mut joined, depth, number == joins);
        }
        if self.draw.chance(5) {
            self.lateral_view(scope, &mut sql);
        }
        // A name without its relation, where it is unique.
        if joined.len() == 1 && self.draw.chance(30) && !sql.contains("LATERAL") {
            for column in &mut scope.columns {
                if let Some((_, name)) = column.sql.split_once('.') {
                    let is_outer =
                        scope.outer.iter().any(|outer| outer.sql.ends_with(&format!(".{name}")) || outer.sql == name);
                    if !is_outer {
                        column.sql = name.to_owned();
                    }
                }
            }
        }
        sql
    }

    fn relation(&mut self, depth: usize) -> Relation {
        let alias = self.name("r");
        let written = |kinds: &[Kind]| (1..).zip(kinds).map(|(number, kind)| (format!("c{number}"), *kind)).collect();
        match self.draw.below(12) {
            0 | 1 if depth > 0 => {
                let query = self.query(&[], None, depth - 1);
                Relation { sql: format!("({}) AS {alias}", query.sql), alias, columns: written(&query.kinds) }
            }
            2..=5 if !self.shared.is_empty() => {
                let (name, kinds) = self.draw.pick(&self.shared.clone()).clone();
                Relation { sql: format!("{name} AS {alias}"), alias, columns: written(&kinds) }
            }
            6 => {
                let count = self.draw.between(1, 3);
                let kinds: Vec<Kind> = (0..count).map(|_| self.ordered_kind(&Scope::default())).collect();
                let rows: Vec<String> = (0..self.draw.between(1, 3))
                    .map(|_| {
                        let values: Vec<&str> = kinds.iter().map(|kind| *self.draw.pick(kind.literals())).collect();
                        format!("({})", values.join(", "))
                    })
                    .collect();
                let names: Vec<String> = (1..=count).map(|number| format!("c{number}")).collect();
                let sql = format!("(VALUES {}) AS {alias}({})", rows.join(", "), names.join(", "));
                Relation { sql, alias, columns: written(&kinds) }
            }
            7 if self.draw.chance(20) => {
                Relation { sql: format!("range(4) AS {alias}"), alias, columns: vec![("id".to_owned(), Kind::Integer)] }
            }
            8 if self.draw.chance(20) => self.pivot(alias),
            _ => {
                let table = self.draw.pick(&TABLES);
                let columns = table.columns.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
                Relation { sql: format!("{} AS {alias}", table.name), alias, columns }
            }
        }
    }

    fn pivot(&mut self, alias: String) -> Relation {
        let aggregate = self.draw.pick(&["sum(q)", "count(*)", "max(q)"]).to_string();
        let sql = format!("(SELECT * FROM u PIVOT ({aggregate} FOR s IN ('a' AS pa, 'ab' AS pb))) AS {alias}");
        let integer = |name: &str| (name.to_owned(), Kind::Integer);
        let mut columns = vec![integer("k"), integer("pa"), integer("pb")];
        if aggregate == "count(*)" {
            columns.push(integer("q"));
        }
        Relation { sql, alias, columns }
    }

    fn join(&mut self, scope: &mut Scope, sql: &mut String, joined: &mut Vec<Relation>, depth: usize, is_last: bool) {
        if self.draw.chance(8) {
            return self.lateral(scope, sql, depth);
        }
        let right = self.relation(depth);
        let kinds =
            ["JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "LEFT SEMI JOIN", "LEFT ANTI JOIN"];
        let kind = *self.draw.pick(&kinds);
        let is_half = kind.contains("SEMI") || kind.contains("ANTI");
        let both = Scope { columns: [scope.columns.clone(), right.qualified()].concat(), ..Scope::default() };
        let common: Vec<String> = match joined.as_slice() {
            [left] => left
                .columns
                .iter()
                .filter(|column| right.columns.contains(column))
                .map(|(name, _)| name.clone())
                .collect(),
            _ => Vec::new(),
        };
        if self.draw.chance(10) {
            *sql = format!("{sql} CROSS JOIN {}", right.sql);
            scope.columns = both.columns;
        } else if self.draw.chance(30) && common.iter().any(|name| name == "k") {
            let natural = self.draw.chance(25) && !is_half;
            let keys = if natural { common } else { vec!["k".to_owned()] };
            *sql = match natural {
                true => format!("{sql} NATURAL {kind} {}", right.sql),
                false => format!("{sql} {kind} {} USING (k)", right.sql),
            };
            if !is_half {
                scope.columns = both.columns;
                // With a third relation, the plain name of a key could be ambiguous.
                let is_key = |(name, _): &&(String, Kind)| is_last && keys.contains(name);
                let keys = right.columns.iter().filter(is_key);
                scope.columns.extend(keys.map(|(name, kind)| Column { sql: name.clone(), kind: *kind }));
            }
        } else {
            let condition = self.join_condition(&both, scope, &right);
            *sql = format!("{sql} {kind} {} ON {condition}", right.sql);
            if !is_half {
                scope.columns = both.columns;
            }
        }
        joined.push(right);
    }

    fn join_condition(&mut self, both: &Scope, left: &Scope, right: &Relation) -> String {
        let mut pairs = Vec::new();
        for column in right.qualified() {
            let same = left.columns.iter().filter(|other| other.kind == column.kind && column.kind.is_ordered());
            pairs.extend(same.map(|other| format!("{} = {}", other.sql, column.sql)));
        }
        if pairs.is_empty() || self.draw.chance(15) {
            return self.condition(both, 1);
        }
        let equality = self.draw.pick(&pairs).clone();
        match self.draw.below(5) {
            0 => format!("{equality} AND {}", self.condition(both, 1)),
            1 => format!("({equality} OR {})", self.condition(both, 1)),
            2 => equality.replace(" = ", " <=> "),
            _ => equality,
        }
    }

    fn lateral(&mut self, scope: &mut Scope, sql: &mut String, depth: usize) {
        let outer = scope.columns.clone();
        let query = self.query(&outer, None, depth.min(1));
        let alias = self.name("r");
        let kind = *self.draw.pick(&["JOIN", "LEFT JOIN", "CROSS JOIN"]);
        let condition = if kind == "CROSS JOIN" { "" } else { " ON true" };
        *sql = format!("{sql} {kind} LATERAL ({}) AS {alias}{condition}", query.sql);
        let column = |(number, kind): (usize, &Kind)| Column { sql: format!("{alias}.c{number}"), kind: *kind };
        scope.columns.extend((1..).zip(&query.kinds).map(column));
    }

    fn lateral_view(&mut self, scope: &mut Scope, sql: &mut String) {
        let nested: Vec<Column> = scope
            .columns
            .iter()
            .filter(|column| matches!(column.kind, Kind::Integers | Kind::Texts))
            .cloned()
            .collect();
        let (value, kind) = match nested.is_empty() {
            true => ("array(1, NULL, 3)".to_owned(), Kind::Integer),
            false => {
                let column = self.draw.pick(&nested);
                (column.sql.clone(), if column.kind == Kind::Texts { Kind::Text } else { Kind::Integer })
            }
        };
        let alias = self.name("v");
        let outer = *self.draw.pick(&["", "OUTER "]);
        if self.draw.chance(40) {
            *sql = format!("{sql} LATERAL VIEW {outer}posexplode({value}) {alias} AS po, co");
            scope.columns.push(Column { sql: format!("{alias}.po"), kind: Kind::Integer });
        } else {
            *sql = format!("{sql} LATERAL VIEW {outer}explode({value}) {alias} AS co");
        }
        scope.columns.push(Column { sql: format!("{alias}.co"), kind });
    }
}
