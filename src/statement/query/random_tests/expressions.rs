//! Expressions of a kind, over the columns that a scope offers.

use super::draw::Draw;
use super::functions::{AGGREGATES, SCALAR, aggregate, call, signature};
use super::tables::Kind;

/// A column, or another expression that may be used like one.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) sql: String,
    pub(crate) kind: Kind,
}

/// The names and calls that an expression may use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) columns: Vec<Column>,
    /// The columns of the queries around this one.
    pub(crate) outer: Vec<Column>,
    /// The columns below the GROUP BY. Some: aggregates are allowed.
    pub(crate) aggregated: Option<Vec<Column>>,
    pub(crate) windows: bool,
    /// The number of levels of subqueries that may follow.
    pub(crate) subqueries: usize,
}

impl Scope {
    /// The same columns without aggregates, windows and subqueries.
    fn plain(&self) -> Self {
        Self { columns: self.columns.clone(), outer: self.outer.clone(), ..Self::default() }
    }

    /// The columns that an aggregate reads.
    fn below(&self) -> Self {
        Self { columns: self.aggregated.clone().unwrap_or_default(), ..Self::default() }
    }

    fn of_kind(&self, kind: Kind) -> Vec<&Column> {
        self.columns.iter().filter(|column| column.kind == kind).collect()
    }
}

/// Writes queries. The state is the seed, and the names that are in use.
#[derive(Debug)]
pub(crate) struct Generator {
    pub(crate) draw: Draw,
    pub(crate) names: usize,
    /// The queries of the WITH clauses around the current query, with the kinds of their columns.
    pub(crate) shared: Vec<(String, Vec<Kind>)>,
}

impl Generator {
    pub(crate) fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    pub(crate) fn kind(&mut self, scope: &Scope) -> Kind {
        match self.draw.below(10) {
            0 => *self.draw.pick(&Kind::NESTED),
            1..=7 if !scope.columns.is_empty() => self.draw.pick(&scope.columns).kind,
            _ => *self.draw.pick(&Kind::PLAIN),
        }
    }

    pub(crate) fn ordered_kind(&mut self, scope: &Scope) -> Kind {
        let kind = self.kind(scope);
        if kind.is_ordered() { kind } else { Kind::Integer }
    }

    /// An expression of the kind, or rarely of another kind: a number for a number, or anything at all.
    pub(crate) fn expression(&mut self, scope: &Scope, kind: Kind, depth: usize) -> String {
        let kind = match self.draw.below(400) {
            0 | 1 => *self.draw.pick(&Kind::PLAIN),
            2 => *self.draw.pick(&Kind::NESTED),
            3..=20 if Kind::NUMBERS.contains(&kind) => *self.draw.pick(&Kind::NUMBERS),
            _ => kind,
        };
        if depth == 0 || self.draw.chance(30) {
            return self.leaf(scope, kind);
        }
        if scope.aggregated.is_some() && self.draw.chance(30) {
            return self.aggregate(scope, kind);
        }
        if scope.windows && self.draw.chance(12) {
            return self.window(scope, kind);
        }
        if scope.subqueries > 0 && self.draw.chance(8) {
            return self.scalar_subquery(scope, kind);
        }
        match self.draw.below(10) {
            0 | 1 => self.conditional(scope, kind, depth - 1),
            2..=5 => self.operator(scope, kind, depth - 1),
            _ => self.function(scope, kind, depth - 1),
        }
    }

    pub(crate) fn leaf(&mut self, scope: &Scope, kind: Kind) -> String {
        let columns = scope.of_kind(kind);
        if !columns.is_empty() && self.draw.chance(75) {
            return self.draw.pick(&columns).sql.clone();
        }
        let outer: Vec<_> = scope.outer.iter().filter(|column| column.kind == kind).collect();
        if !outer.is_empty() && self.draw.chance(40) {
            return self.draw.pick(&outer).sql.clone();
        }
        if scope.aggregated.is_some() && self.draw.chance(50) {
            return self.aggregate(scope, kind);
        }
        self.draw.pick(kind.literals()).to_string()
    }

    /// A form that exists for every kind.
    fn conditional(&mut self, scope: &Scope, kind: Kind, depth: usize) -> String {
        let mut part = |kind| self.expression(scope, kind, depth);
        let (first, second) = (part(kind), part(kind));
        let condition = part(Kind::Boolean);
        match self.draw.below(11) {
            0 => format!("CASE WHEN {condition} THEN {first} ELSE {second} END"),
            1 => format!("CASE WHEN {condition} THEN {first} END"),
            2 => {
                let of = self.ordered_kind(scope);
                let (value, when) = (self.expression(scope, of, depth), self.expression(scope, of, depth));
                format!("CASE {value} WHEN {when} THEN {first} ELSE {second} END")
            }
            3 => format!("if({condition}, {first}, {second})"),
            4 => format!("coalesce({first}, {second})"),
            5 => format!("nvl({first}, {second})"),
            6 if kind.is_ordered() => format!("nullif({first}, {second})"),
            7 if kind.is_ordered() => format!("greatest({first}, {second})"),
            8 => self.cast(scope, kind, depth),
            9 => format!("CAST({first} AS {})", self.draw.pick(kind.types())),
            _ => format!("if({condition}, {second}, {first})"),
        }
    }

    /// A cast from another kind. Casts of texts can fail on every row, so most of them are try_cast.
    fn cast(&mut self, scope: &Scope, kind: Kind, depth: usize) -> String {
        let from = match kind {
            Kind::Integers | Kind::Texts => *self.draw.pick(&[Kind::Integers, Kind::Texts]),
            Kind::Map | Kind::Struct => kind,
            Kind::Text => *self.draw.pick(&Kind::PLAIN),
            Kind::Date => *self.draw.pick(&[Kind::Timestamp, Kind::Text]),
            Kind::Timestamp => *self.draw.pick(&[Kind::Date, Kind::Text]),
            Kind::Binary => Kind::Text,
            _ => *self.draw.pick(&[Kind::Integer, Kind::Float, Kind::Decimal, Kind::Boolean, Kind::Text]),
        };
        let value = self.expression(scope, from, depth);
        let to = self.draw.pick(kind.types());
        let name = if self.draw.chance(if from == Kind::Text { 95 } else { 40 }) { "try_cast" } else { "CAST" };
        format!("{name}({value} AS {to})")
    }

    fn operator(&mut self, scope: &Scope, kind: Kind, depth: usize) -> String {
        let mut part = |kind| self.expression(scope, kind, depth);
        match kind {
            Kind::Boolean => self.condition(scope, depth),
            Kind::Integer => {
                let (left, right) = (part(kind), part(kind));
                match self.draw.below(6) {
                    0 => format!("({left} div nullif({right}, 0))"),
                    1 => format!("({left} % nullif({right}, 0))"),
                    2 => format!("(- {left})"),
                    3 => format!("({left} * {right})"),
                    4 => format!("({left} - {right})"),
                    _ => format!("({left} + {right})"),
                }
            }
            Kind::Float | Kind::Decimal => {
                let (left, right) = (part(kind), part(kind));
                match self.draw.below(6) {
                    0 => format!("({left} / nullif({right}, 0))"),
                    1 => format!("({left} / {right})"),
                    2 => format!("(- {left})"),
                    3 => format!("({left} * {right})"),
                    4 => format!("({left} - {right})"),
                    _ => format!("({left} + {right})"),
                }
            }
            Kind::Text => {
                let other =
                    *self.draw.pick(&[Kind::Text, Kind::Text, Kind::Text, Kind::Integer, Kind::Date, Kind::Decimal]);
                format!("({} || {})", self.expression(scope, kind, depth), self.expression(scope, other, depth))
            }
            Kind::Binary | Kind::Integers | Kind::Texts => format!("({} || {})", part(kind), part(kind)),
            Kind::Date => {
                let days = self.small(scope);
                let sign = self.draw.pick(&["+", "-"]);
                format!("({} {sign} {days})", self.expression(scope, kind, depth))
            }
            Kind::Timestamp => {
                let interval = self.draw.pick(&[
                    "INTERVAL '1' DAY",
                    "INTERVAL 3 HOURS",
                    "INTERVAL '2' MONTH",
                    "INTERVAL 90 SECONDS",
                ]);
                let sign = self.draw.pick(&["+", "-"]);
                format!("({} {sign} {interval})", self.expression(scope, kind, depth))
            }
            Kind::Map | Kind::Struct => self.leaf(scope, kind),
        }
    }

    /// A small INT.
    fn small(&mut self, scope: &Scope) -> String {
        match self.draw.chance(60) {
            true => self.draw.pick(&["0", "1", "2", "-1", "3", "-2"]).to_string(),
            false => format!("CAST({} % 5 AS INT)", self.leaf(scope, Kind::Integer)),
        }
    }

    /// A condition with depth: a comparison or a combination of conditions.
    pub(crate) fn condition(&mut self, scope: &Scope, depth: usize) -> String {
        let deeper = depth.saturating_sub(1);
        if scope.subqueries > 0 && self.draw.chance(20) {
            return self.subquery_condition(scope);
        }
        match self.draw.below(16) {
            0 | 1 => format!("({} AND {})", self.condition(scope, deeper), self.condition(scope, deeper)),
            2 | 3 => format!("({} OR {})", self.condition(scope, deeper), self.condition(scope, deeper)),
            4 => format!("(NOT {})", self.condition(scope, deeper)),
            5 => {
                let kind = self.kind(scope);
                let value = self.expression(scope, kind, depth);
                format!("({value} IS {}NULL)", self.draw.pick(&["", "NOT "]))
            }
            6 => {
                let kind = self.ordered_kind(scope);
                let mut part = || self.expression(scope, kind, deeper);
                let (value, low, high) = (part(), part(), part());
                format!("({value} {}BETWEEN {low} AND {high})", self.draw.pick(&["", "NOT "]))
            }
            7 => {
                let kind = self.ordered_kind(scope);
                let value = self.expression(scope, kind, deeper);
                let count = self.draw.between(1, 4);
                let items: Vec<String> = (0..count).map(|_| self.expression(scope, kind, 0)).collect();
                format!("({value} {}IN ({}))", self.draw.pick(&["", "NOT "]), items.join(", "))
            }
            8 => {
                let value = self.expression(scope, Kind::Text, deeper);
                let pattern = self.draw.pick(&[
                    "LIKE '%a%'",
                    "LIKE '_'",
                    "NOT LIKE 'a%'",
                    "ILIKE 'A_'",
                    "RLIKE '^a.*'",
                    "LIKE '%\\\\%%'",
                ]);
                format!("({value} {pattern})")
            }
            9 => {
                let value = self.expression(scope, Kind::Boolean, deeper);
                format!("({value} IS {})", self.draw.pick(&["TRUE", "NOT TRUE", "FALSE", "NOT FALSE", "UNKNOWN"]))
            }
            10 => self.expression(scope, Kind::Boolean, deeper),
            _ => {
                let kind = self.ordered_kind(scope);
                let (left, right) = (self.expression(scope, kind, deeper), self.expression(scope, kind, deeper));
                let operator = self.draw.pick(&["=", "=", "<", "<=", ">", ">=", "<>", "<=>", "IS DISTINCT FROM", "!="]);
                format!("({left} {operator} {right})")
            }
        }
    }

    fn function(&mut self, scope: &Scope, kind: Kind, depth: usize) -> String {
        let of_kind: Vec<_> =
            SCALAR.iter().map(|text| signature(text)).filter(|(_, _, result)| *result == kind).collect();
        if of_kind.is_empty() {
            return self.leaf(scope, kind);
        }
        let &(name, letters, _) = self.draw.pick(&of_kind);
        let arguments = self.arguments(scope, letters, depth);
        call(name, &arguments).unwrap_or_else(|| self.leaf(scope, kind))
    }

    fn arguments(&mut self, scope: &Scope, letters: &str, depth: usize) -> Vec<String> {
        let argument = |letter| match letter {
            'l' => self.small(scope),
            'c' => self.draw.pick(&["0", "1", "2", "-1", "3"]).to_string(),
            'N' => {
                let kind = *self.draw.pick(&Kind::NUMBERS);
                self.expression(scope, kind, depth)
            }
            '*' => {
                let kind = self.kind(scope);
                self.expression(scope, kind, depth)
            }
            'e' => self.draw.pick(&["'UTF-8'", "'UTF-16BE'", "'ISO-8859-1'"]).to_string(),
            'z' => self.draw.pick(&["256", "224", "512", "0"]).to_string(),
            'y' => self.draw.pick(&["'MO'", "'Sunday'", "'fr'"]).to_string(),
            'u' => self.draw.pick(&["'YEAR'", "'MONTH'", "'WEEK'", "'QUARTER'"]).to_string(),
            'p' => self.draw.pick(&["'yyyy-MM-dd'", "'HH:mm'", "'dd/MM/yy'", "'EEE MMM'"]).to_string(),
            'n' => self.draw.pick(&["'999'", "'000.00'", "'S9,999.99'"]).to_string(),
            'g' => self.draw.pick(&["'%d %s'", "'%05d|%s'"]).to_string(),
            letter => self.expression(scope, Kind::of_letter(letter), depth),
        };
        letters.chars().map(argument).collect()
    }

    /// The signatures of aggregates with this result.
    fn aggregates_of(kind: Kind) -> Vec<(&'static str, &'static str, Kind)> {
        AGGREGATES.iter().map(|text| signature(text)).filter(|(_, _, result)| *result == kind).collect()
    }

    pub(crate) fn aggregate(&mut self, scope: &Scope, kind: Kind) -> String {
        let of_kind = Self::aggregates_of(kind);
        let below = scope.below();
        if of_kind.is_empty() {
            return self.draw.pick(kind.literals()).to_string();
        }
        if kind == Kind::Integer && self.draw.chance(20) {
            return "count(*)".to_owned();
        }
        let &(name, letters, _) = self.draw.pick(&of_kind);
        let arguments = self.arguments(&below, letters, 1);
        let distinct =
            self.draw.chance(15) && ["count", "sum", "avg", "min", "max", "collect_list_sorted"].contains(&name);
        let filter = self.draw.chance(15).then(|| self.condition(&below, 1));
        aggregate(name, &arguments, distinct, filter).unwrap_or_else(|| "NULL".to_owned())
    }

    /// A window function whose result does not depend on the order of equal rows: either all columns are in ORDER BY, or the
    /// function gives equal rows one value.
    pub(crate) fn window(&mut self, scope: &Scope, kind: Kind) -> String {
        let rows = scope.plain();
        let keys = self.draw.below(3);
        let partition: Vec<String> = (0..keys)
            .map(|_| {
                let kind = self.ordered_kind(&rows);
                self.expression(&rows, kind, 0)
            })
            .collect();
        let partition =
            if partition.is_empty() { String::new() } else { format!("PARTITION BY {} ", partition.join(", ")) };
        let total = !rows.columns.is_empty()
            && rows.columns.len() < 8
            && rows.columns.iter().all(|column| column.kind.is_ordered());
        let direction = *self.draw.pick(&["", " DESC", " ASC NULLS LAST", " DESC NULLS FIRST"]);
        if total && self.draw.chance(50) {
            let order: Vec<String> = rows.columns.iter().map(|column| format!("{}{direction}", column.sql)).collect();
            let order = order.join(", ");
            let value = self.expression(&rows, kind, 1);
            if kind == Kind::Integer && self.draw.chance(40) {
                let name = self.draw.pick(&["row_number()", "ntile(2)", "ntile(3)", "count(*)"]);
                return format!("{name} OVER ({partition}ORDER BY {order})");
            }
            let bounds = [
                "UNBOUNDED PRECEDING",
                "2 PRECEDING",
                "1 PRECEDING",
                "CURRENT ROW",
                "1 FOLLOWING",
                "UNBOUNDED FOLLOWING",
            ];
            let start = self.draw.below(4);
            let end = self.draw.between(start.max(2), 5);
            let frame = format!("ROWS BETWEEN {} AND {}", bounds[start], bounds[end]);
            return match self.draw.below(7) {
                0 => format!("lag({value}) OVER ({partition}ORDER BY {order})"),
                1 => format!("lead({value}, 2) OVER ({partition}ORDER BY {order})"),
                2 => format!("first_value({value}) OVER ({partition}ORDER BY {order} {frame})"),
                3 => format!("last_value({value}) IGNORE NULLS OVER ({partition}ORDER BY {order} {frame})"),
                4 => format!("nth_value({value}, 2) OVER ({partition}ORDER BY {order})"),
                _ => self.window_aggregate(&rows, kind, &format!("{partition}ORDER BY {order} {frame}")),
            };
        }
        let of = self.ordered_kind(&rows);
        let order = format!("ORDER BY {}{direction}", self.expression(&rows, of, 1));
        match (kind, self.draw.below(3)) {
            (Kind::Integer, 0) => format!("{} OVER ({partition}{order})", self.draw.pick(&["rank()", "dense_rank()"])),
            (Kind::Float, 0) => {
                format!("{} OVER ({partition}{order})", self.draw.pick(&["percent_rank()", "cume_dist()"]))
            }
            (_, 1) => self.window_aggregate(&rows, kind, &format!("{partition}{order}")),
            _ => self.window_aggregate(&rows, kind, partition.trim_end()),
        }
    }

    fn window_aggregate(&mut self, rows: &Scope, kind: Kind, window: &str) -> String {
        let simple = |name: &str| {
            ["count", "sum", "avg", "min", "max", "bool_and", "bit_or", "count_if", "stddev_pop"].contains(&name)
        };
        let of_kind: Vec<_> = Self::aggregates_of(kind).into_iter().filter(|(name, _, _)| simple(name)).collect();
        if of_kind.is_empty() {
            return self.leaf(rows, kind);
        }
        let &(name, letters, _) = self.draw.pick(&of_kind);
        let arguments = self.arguments(rows, letters, 1);
        let filter = self.draw.chance(10).then(|| self.condition(rows, 1));
        format!("{} OVER ({window})", aggregate(name, &arguments, false, filter).unwrap_or_default())
    }
}
