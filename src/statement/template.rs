//! Queries that pinsql writes as SQL text, with gaps for the expressions and tables of the user.
//!
//! The gap for an expression is the column `` `expression 0` ``. The gap for a relation is the table `` `relation 0` ``. The
//! inserted parts keep their places in the text of the user. The text around them has no places.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Ident, ObjectNamePart, Query, TableFactor, VisitorMut};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Span, TokenWithSpan};

use super::dialect::{PinsqlDialect, tokenize};
use crate::statement::walk;
use pinsql_base::error::{Error, Result};

/// The query `sql` with its gaps filled.
pub(super) fn query(sql: &str, relations: &[TableFactor], expressions: &[Expr]) -> Result<Query> {
    let broken = |error: String| Error::internal(format!("a query of pinsql's own does not parse: {error}"));
    let tokens = tokenize(sql).map_err(|error| broken(error.message))?;
    let placeless = tokens.into_iter().map(|token| TokenWithSpan { span: Span::empty(), ..token });
    let dialect = PinsqlDialect::default();
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(placeless.collect());
    let mut query = *parser.parse_query().map_err(|error| broken(error.to_string()))?;
    // The visitor never stops early.
    let _ = walk::rewrite(&mut query, &mut Fill { relations, expressions });
    Ok(query)
}

/// The name in back-ticks.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

struct Fill<'a> {
    relations: &'a [TableFactor],
    expressions: &'a [Expr],
}

impl VisitorMut for Fill<'_> {
    type Break = ();

    /// Runs after the children, so that gaps in inserted parts are not filled.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr
            && let Some(given) = gap(name, "expression ").and_then(|number| self.expressions.get(number))
        {
            *expr = Expr::Nested(Box::new(given.clone()));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, .. } = factor
            && let [ObjectNamePart::Identifier(name)] = name.0.as_slice()
            && let Some(given) = gap(name, "relation ").and_then(|number| self.relations.get(number))
        {
            *factor = given.clone();
        }
        ControlFlow::Continue(())
    }
}

fn gap(name: &Ident, kind: &str) -> Option<usize> {
    let is_placeless = name.span == Span::empty();
    is_placeless.then(|| name.value.strip_prefix(kind)?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_with_what_was_written() {
        let one = query("SELECT a + 1 FROM x", &[], &[]).unwrap();
        let sqlparser::ast::SetExpr::Select(select) = *one.body else { panic!("no SELECT") };
        let relation = select.from[0].relation.clone();
        let sqlparser::ast::SelectItem::UnnamedExpr(expression) = &select.projection[0] else {
            panic!("no expression")
        };
        let sql =
            "SELECT `expression 0` * 2 FROM (SELECT * FROM `relation 0`) AS s WHERE `expression 0` > `expression 7`";
        let filled = query(sql, &[relation], std::slice::from_ref(expression)).unwrap();
        assert_eq!(filled.to_string(), "SELECT (a + 1) * 2 FROM (SELECT * FROM x) AS s WHERE (a + 1) > `expression 7`");
    }
}
