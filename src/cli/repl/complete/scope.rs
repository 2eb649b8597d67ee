//! The relations around the cursor: those whose columns can be referenced there.
//!
//! They are found in the lexemes, since an incomplete query does not parse. A relation is stored as its text (`t`,
//! `read_files('…')`, `(SELECT …)`). Its columns are those of `SELECT * FROM <text>`, for every kind of relation.

use super::keywords::ends_relation;
use crate::statement::lexeme::{Lexeme, LexemeKind};

/// Maximum number of relations of one place.
const RELATIONS_MAX: usize = 16;

/// A relation of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    /// The qualifier of its columns.
    pub(crate) name: Option<String>,
    /// A query with its columns.
    pub(crate) query: String,
}

/// The lexemes of one statement, without spaces and comments.
pub(super) struct Words<'a> {
    sql: &'a str,
    lexemes: Vec<Lexeme>,
}

impl<'a> Words<'a> {
    /// `lexemes` are those of one statement in `sql`.
    pub(super) fn new(sql: &'a str, lexemes: &[Lexeme]) -> Self {
        Self { sql, lexemes: lexemes.iter().filter(|lexeme| !lexeme.is_blank()).copied().collect() }
    }

    fn text(&self, position: usize) -> &'a str {
        self.lexemes.get(position).map_or("", |lexeme| lexeme.text(self.sql))
    }

    fn is_name(&self, position: usize) -> bool {
        self.lexemes
            .get(position)
            .is_some_and(|lexeme| matches!(lexeme.kind, LexemeKind::Word | LexemeKind::QuotedName))
    }

    fn is(&self, position: usize, word: &str) -> bool {
        self.text(position).eq_ignore_ascii_case(word)
    }

    fn is_query(&self, position: usize) -> bool {
        ["SELECT", "WITH", "VALUES", "FROM", "("].iter().any(|word| self.is(position, word))
    }

    /// The position after the parenthesis that closes the one at `open`, or the end if none does.
    fn closing(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for position in open..self.lexemes.len() {
            match self.text(position) {
                "(" => depth += 1,
                ")" => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return position + 1;
                    }
                }
                _ => {}
            }
        }
        self.lexemes.len()
    }

    fn between(&self, start: usize, end: usize) -> &'a str {
        let from = self.lexemes.get(start).map_or(self.sql.len(), |lexeme| lexeme.start);
        let to = end.checked_sub(1).and_then(|last| self.lexemes.get(last)).map_or(from, |lexeme| lexeme.end);
        self.sql.get(from..to).unwrap_or_default()
    }

    /// The relations whose columns an expression at byte `cursor` can reference.
    pub(super) fn relations(&self, cursor: usize) -> Vec<Relation> {
        let named = self.named_queries();
        let mut relations = Vec::new();
        // From the outermost parentheses to the innermost: a subquery can reference the queries around it.
        for (start, end) in self.regions(cursor) {
            self.relations_in(start, end, cursor, &named, &mut relations);
        }
        relations.reverse();
        relations.truncate(RELATIONS_MAX);
        relations
    }

    /// The ranges around the cursor: the whole statement, and the inside of each enclosing pair of parentheses.
    fn regions(&self, cursor: usize) -> Vec<(usize, usize)> {
        let mut regions = vec![(0, self.lexemes.len())];
        for position in 0..self.lexemes.len() {
            let Some(lexeme) = self.lexemes.get(position) else { break };
            if lexeme.start >= cursor {
                break;
            }
            if self.text(position) == "(" {
                let end = self.closing(position);
                let closed = self.text(end.saturating_sub(1)) == ")" && end > position + 1;
                let inside_end = if closed { end - 1 } else { end };
                let ends_at = if closed {
                    self.lexemes.get(inside_end).map_or(usize::MAX, |last| last.start)
                } else {
                    usize::MAX
                };
                if lexeme.end <= cursor && cursor <= ends_at {
                    regions.push((position + 1, inside_end));
                }
            }
        }
        regions
    }

    /// The relations of the query between two positions, without deeper levels. For a UNION, those of the side with the cursor.
    fn relations_in(&self, start: usize, end: usize, cursor: usize, named: &[Relation], found: &mut Vec<Relation>) {
        let mut position = start;
        let mut in_from = false;
        let first = found.len();
        while position < end {
            let text = self.text(position).to_uppercase();
            match text.as_str() {
                "(" => {
                    position = self.closing(position);
                    continue;
                }
                "UNION" | "EXCEPT" | "INTERSECT" | "MINUS" => {
                    let starts_at = self.lexemes.get(position).map_or(0, |lexeme| lexeme.start);
                    if starts_at >= cursor {
                        return;
                    }
                    found.truncate(first);
                    in_from = false;
                }
                // `JOIN … USING (columns)` has no relation; `MERGE … USING (query)` has one.
                "USING" if self.text(position + 1) == "(" && !self.is_query(position + 2) => {}
                "FROM" | "JOIN" | "INTO" | "UPDATE" | "USING" => {
                    in_from = text == "FROM" || text == "JOIN";
                    if let Some((relation, next)) = self.relation(position + 1, named) {
                        found.push(relation);
                        position = next;
                        continue;
                    }
                }
                "," if in_from => {
                    if let Some((relation, next)) = self.relation(position + 1, named) {
                        found.push(relation);
                        position = next;
                        continue;
                    }
                }
                "WHERE" | "GROUP" | "ORDER" | "HAVING" | "LIMIT" | "SELECT" | "QUALIFY" | "SET" => in_from = false,
                _ => {}
            }
            position += 1;
        }
    }

    /// The relation at `position`, and the position after it and its alias.
    fn relation(&self, position: usize, named: &[Relation]) -> Option<(Relation, usize)> {
        let mut start = position;
        while ["STREAM", "LATERAL", "TABLE"].iter().any(|word| self.is(start, word)) && self.text(start + 1) != "." {
            start += 1;
        }
        let mut end = start;
        let mut name = None;
        if self.text(start) == "(" {
            end = self.closing(start);
        } else {
            if !self.is_name(start) || ends_relation(self.text(start)) {
                return None;
            }
            end += 1;
            while self.text(end) == "." && self.is_name(end + 1) {
                end += 2;
            }
            // The schema of an incomplete relation name.
            if self.text(end) == "." {
                return None;
            }
            name = Some(unquoted(self.text(end - 1)));
            if self.text(end) == "(" {
                end = self.closing(end);
            }
        }
        let text = self.between(start, end);
        let known =
            named.iter().find(|known| known.name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(text)));
        let query = known.map_or_else(|| format!("SELECT * FROM {text}"), |known| known.query.clone());
        if self.is(end, "AS") {
            end += 1;
        }
        if self.is_name(end) && !ends_relation(self.text(end)) {
            name = Some(unquoted(self.text(end)));
            end += 1;
        }
        Some((Relation { name, query }, end))
    }

    /// The named queries of WITH at the start of the statement.
    fn named_queries(&self) -> Vec<Relation> {
        let Some(with) = (0..self.lexemes.len()).find(|position| self.is(*position, "WITH")) else {
            return Vec::new();
        };
        let mut named = Vec::new();
        let mut position = with + 1;
        if self.is(position, "RECURSIVE") {
            position += 1;
        }
        while named.len() < RELATIONS_MAX && self.is_name(position) {
            let name = self.text(position);
            let mut body = position + 1;
            if self.text(body) == "(" {
                body = self.closing(body);
            }
            if self.is(body, "AS") {
                body += 1;
            }
            if self.text(body) != "(" {
                break;
            }
            let end = self.closing(body);
            let query = format!("{} SELECT * FROM {name}", self.between(with, end));
            named.push(Relation { name: Some(name.to_owned()), query });
            if self.text(end) != "," {
                break;
            }
            position = end + 1;
        }
        named
    }

    /// The names of the queries of WITH, for completion after FROM.
    pub(super) fn names_of_queries(&self) -> Vec<String> {
        self.named_queries().into_iter().filter_map(|relation| relation.name).collect()
    }
}

/// A name without its backticks.
pub(super) fn unquoted(name: &str) -> String {
    match name.strip_prefix('`') {
        Some(rest) => rest.strip_suffix('`').unwrap_or(rest).replace("``", "`"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::lexeme::lexemes;

    /// `|` is the cursor.
    fn check(marked: &str, expected: &[(Option<&str>, &str)]) {
        let cursor = marked.find('|').unwrap();
        let sql = marked.replace('|', "");
        let found = Words::new(&sql, &lexemes(&sql)).relations(cursor);
        let shown: Vec<_> = found.iter().map(|found| (found.name.as_deref(), found.query.as_str())).collect();
        assert_eq!(shown, expected, "{marked}");
    }

    #[test]
    fn relations_are_found_before_and_after_the_cursor() {
        check("SELECT | FROM pins", &[(Some("pins"), "SELECT * FROM pins")]);
        check("SELECT a FROM silver.pins AS p WHERE |", &[(Some("p"), "SELECT * FROM silver.pins")]);
        check(
            "SELECT a FROM pins p JOIN geo g ON p.|",
            &[(Some("g"), "SELECT * FROM geo"), (Some("p"), "SELECT * FROM pins")],
        );
        check("SELECT a, | FROM t, u WHERE x", &[(Some("u"), "SELECT * FROM u"), (Some("t"), "SELECT * FROM t")]);
        check("SELECT | FROM t JOIN u USING (a)", &[(Some("u"), "SELECT * FROM u"), (Some("t"), "SELECT * FROM t")]);
        check("UPDATE pins SET |", &[(Some("pins"), "SELECT * FROM pins")]);
        check("SELECT |", &[]);
        check("SELECT * FROM silver.|", &[]);
    }

    #[test]
    fn calls_and_subqueries_are_relations() {
        check(
            "SELECT | FROM read_files('a/*.json', format => 'json') WHERE x",
            &[(Some("read_files"), "SELECT * FROM read_files('a/*.json', format => 'json')")],
        );
        check("SELECT upper(|) FROM (SELECT a FROM t) AS s", &[(Some("s"), "SELECT * FROM (SELECT a FROM t)")]);
        check(
            "SELECT a FROM t WHERE b IN (SELECT | FROM u)",
            &[(Some("u"), "SELECT * FROM u"), (Some("t"), "SELECT * FROM t")],
        );
    }

    #[test]
    fn each_side_of_a_union_sees_its_own() {
        check("SELECT | FROM t UNION ALL SELECT b FROM u", &[(Some("t"), "SELECT * FROM t")]);
        check("SELECT a FROM t UNION ALL SELECT | FROM u", &[(Some("u"), "SELECT * FROM u")]);
    }

    #[test]
    fn a_named_query_includes_its_with() {
        check(
            "WITH a AS (SELECT 1 AS x), b AS (SELECT x FROM a) SELECT | FROM b",
            &[(Some("b"), "WITH a AS (SELECT 1 AS x), b AS (SELECT x FROM a) SELECT * FROM b")],
        );
    }
}
