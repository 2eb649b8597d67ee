//! Case-insensitive names that keep their declared case, as in Databricks.
//!
//! DataFusion either folds all names to lower case, and then does not find a JSON field `userName`, or takes names literally, and
//! then does not find `TITLE`. The session takes names literally, and this pass rewrites each name to its first declaration: by a
//! table, by the schema of a reader, or by an alias. Names and aliases of tables are folded to lower case. The names of the
//! output columns stay as they are written.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use arrow::datatypes::{DataType, Fields};
use sqlparser::ast::{
    AccessExpr, Expr, Ident, JoinConstraint, JoinOperator, LambdaFunction, ObjectName, ObjectNamePart,
    OneOrManyWithParens, OrderBy, OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TableAlias, TableFactor, TableWithJoins, Value, Visitor, VisitorMut, WildcardAdditionalOptions,
};

use super::json_calls::{is_from_json, schema_of};
use crate::session::json_schema_type;
use crate::statement::walk;

/// The default column names of generators.
const GENERATED: [&str; 4] = ["pos", "col", "key", "value"];

/// The declared case of each name, by the name in lower case.
#[derive(Debug, Default)]
pub(super) struct Spelling {
    columns: HashMap<String, String>,
    /// The declared columns. A name that matches one exactly stays, so that columns that differ only in case can be told apart.
    exact: HashSet<String>,
    fields: HashMap<String, String>,
    relations: HashSet<String>,
}

impl Spelling {
    /// Declares the columns of a relation, and the fields nested in them.
    pub(super) fn declare_columns(&mut self, columns: &Fields) {
        for column in columns {
            self.declare(column.name());
            self.exact.insert(column.name().clone());
            self.declare_nested(column.data_type());
        }
    }

    /// Declares names without nested fields.
    pub(super) fn declare_names(&mut self, names: Vec<String>) {
        names.iter().for_each(|name| self.declare(name));
    }

    /// True if a column of this name is declared.
    pub(super) fn declares(&self, name: &str) -> bool {
        self.columns.contains_key(&name.to_lowercase())
    }

    /// Rewrites every name in `query` to its declared case.
    pub(super) fn apply(mut self, query: &mut Query) {
        let written: Vec<Option<Ident>> = output_aliases(query).map(|alias| alias.cloned()).collect();
        // Infallible: no visitor stops.
        let _ = walk::read(query, &mut DeclareFields(&mut self));
        let _ = walk::rewrite(query, &mut Declare(&mut self));
        let _ = walk::rewrite(query, &mut Respell(&self));
        keep_output_names(query, &written);
    }

    fn declare_nested(&mut self, data_type: &DataType) {
        match data_type {
            DataType::Struct(fields) => {
                for field in fields {
                    self.fields.entry(field.name().to_lowercase()).or_insert_with(|| field.name().clone());
                    self.declare_nested(field.data_type());
                }
            }
            DataType::List(element) | DataType::Map(element, _) => self.declare_nested(element.data_type()),
            _ => {}
        }
    }

    /// Declares a name. The first declaration wins.
    fn declare(&mut self, name: &str) {
        self.columns.entry(name.to_lowercase()).or_insert_with(|| name.to_owned());
    }

    fn respell(&self, ident: &mut Ident) {
        if self.exact.contains(&ident.value) {
            return;
        }
        // A field is also a column after a star expands its STRUCT.
        let name = ident.value.to_lowercase();
        if let Some(declared) = self.columns.get(&name).or_else(|| self.fields.get(&name)) {
            ident.value.clone_from(declared);
        }
    }

    /// A path `table.column.field`: names of relations, then one column, then its fields.
    fn respell_path(&self, path: &mut [Ident]) {
        let last = path.len().saturating_sub(1);
        let relations =
            path[..last].iter().take_while(|ident| self.relations.contains(&ident.value.to_lowercase())).count();
        for (place, ident) in path.iter_mut().enumerate() {
            match place.cmp(&relations) {
                Ordering::Less => ident.value = ident.value.to_lowercase(),
                Ordering::Equal => self.respell(ident),
                Ordering::Greater => {
                    if let Some(declared) = self.fields.get(&ident.value.to_lowercase()) {
                        ident.value.clone_from(declared);
                    }
                }
            }
        }
    }
}

/// The SELECT that names the output columns. For a UNION it is the first.
fn output_select(body: &mut SetExpr) -> Option<&mut Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::SetOperation { left, .. } => output_select(left),
        _ => None,
    }
}

fn output_aliases(query: &mut Query) -> impl Iterator<Item = Option<&mut Ident>> {
    let items = output_select(&mut query.body).map(|select| &mut select.projection);
    items.into_iter().flatten().map(|item| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias),
        _ => None,
    })
}

/// Restores the written names of the output columns, also in ORDER BY.
fn keep_output_names(query: &mut Query, written: &[Option<Ident>]) {
    for (alias, written) in output_aliases(query).zip(written) {
        if let (Some(alias), Some(written)) = (alias, written) {
            alias.clone_from(written);
        }
    }
    let Some(OrderBy { kind: OrderByKind::Expressions(order), .. }) = &mut query.order_by else { return };
    for by in order {
        if let Expr::Identifier(ident) = &mut by.expr
            && let Some(alias) = written.iter().flatten().find(|alias| alias.value.eq_ignore_ascii_case(&ident.value))
        {
            ident.value.clone_from(&alias.value);
        }
    }
}

/// Folds the names of relations to lower case and declares the aliases of columns.
struct Declare<'a>(&'a mut Spelling);

impl Declare<'_> {
    fn alias(&mut self, alias: &mut TableAlias) {
        alias.name.value = alias.name.value.to_lowercase();
        self.0.relations.insert(alias.name.value.clone());
        for column in &mut alias.columns {
            self.0.declare(&column.name.value);
            self.0.respell(&mut column.name);
        }
    }
}

impl VisitorMut for Declare<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for cte in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            self.alias(&mut cte.alias);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        for part in &mut relation.0 {
            if let ObjectNamePart::Identifier(ident) = part {
                ident.value = ident.value.to_lowercase();
                self.0.relations.insert(ident.value.clone());
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::UNNEST { alias: Some(alias), .. }
            | TableFactor::NestedJoin { alias: Some(alias), .. } => self.alias(alias),
            // A generator, see `generators`.
            TableFactor::Pivot { alias: Some(alias), .. } => {
                self.alias(alias);
                for name in GENERATED {
                    self.0.declare(name);
                    self.0.exact.insert(name.to_owned());
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    /// Declares the parameters of lambdas, which are used like columns.
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Lambda(lambda) = expr {
            parameters(lambda).for_each(|name| self.0.declare(&name.value));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                self.0.declare(&alias.value);
                self.0.respell(alias);
            }
        }
        ControlFlow::Continue(())
    }
}

fn parameters(lambda: &mut LambdaFunction) -> impl Iterator<Item = &mut Ident> {
    let parameters = match &mut lambda.params {
        OneOrManyWithParens::One(parameter) => std::slice::from_mut(parameter),
        OneOrManyWithParens::Many(parameters) => parameters.as_mut_slice(),
    };
    parameters.iter_mut().map(|parameter| &mut parameter.name)
}

/// Declares the fields in the results of from_json, whose schema is in the query.
struct DeclareFields<'a>(&'a mut Spelling);

impl Visitor for DeclareFields<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && is_from_json(function)
            && let Some(schema) = schema_of(function)
            // The function reports an invalid schema.
            && let Ok(data_type) = json_schema_type(schema)
        {
            self.0.declare_nested(&data_type);
        }
        ControlFlow::Continue(())
    }
}

struct Respell<'a>(&'a Spelling);

impl Respell<'_> {
    fn wildcard(&self, options: &mut WildcardAdditionalOptions) {
        if let Some(except) = &mut options.opt_except {
            self.0.respell(&mut except.first_element);
            except.additional_elements.iter_mut().for_each(|ident| self.0.respell(ident));
        }
    }

    /// `f(x).name`, `a[0].name`: DataFusion takes the name as a string.
    fn field_of_expression(&self, access: &mut AccessExpr) {
        if let AccessExpr::Dot(Expr::Identifier(ident)) = access {
            let declared = self.0.fields.get(&ident.value.to_lowercase()).unwrap_or(&ident.value).clone();
            *access = AccessExpr::Dot(Expr::Value(Value::SingleQuotedString(declared).into()));
        }
    }

    /// `t.*` of a relation, or `s.*` of a column that is a STRUCT.
    fn star(&self, name: &mut ObjectName) {
        let path: Option<Vec<Ident>> = name.0.iter().map(|part| part.as_ident().cloned()).collect();
        let Some(mut path) = path else { return };
        match path.iter().all(|ident| self.0.relations.contains(&ident.value.to_lowercase())) {
            true => path.iter_mut().for_each(|ident| ident.value = ident.value.to_lowercase()),
            false => self.0.respell_path(&mut path),
        }
        name.0 = path.into_iter().map(ObjectNamePart::Identifier).collect();
    }

    fn using(&self, relation: &mut TableWithJoins) {
        for join in &mut relation.joins {
            if let JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint)
            | JoinOperator::FullOuter(constraint)
            | JoinOperator::LeftSemi(constraint)
            | JoinOperator::LeftAnti(constraint) = &mut join.join_operator
                && let JoinConstraint::Using(columns) = constraint
            {
                for part in columns.iter_mut().flat_map(|column| &mut column.0) {
                    if let ObjectNamePart::Identifier(ident) = part {
                        self.0.respell(ident);
                    }
                }
            }
        }
    }
}

impl VisitorMut for Respell<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            match item {
                SelectItem::Wildcard(options) => self.wildcard(options),
                SelectItem::QualifiedWildcard(kind, options) => {
                    if let SelectItemQualifiedWildcardKind::ObjectName(name) = kind {
                        self.star(name);
                    }
                    self.wildcard(options);
                }
                _ => {}
            }
        }
        select.from.iter_mut().for_each(|relation| self.using(relation));
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => self.0.respell(ident),
            Expr::CompoundIdentifier(path) => self.0.respell_path(path),
            Expr::Lambda(lambda) => parameters(lambda).for_each(|name| self.0.respell(name)),
            Expr::CompoundFieldAccess { access_chain, .. } => {
                access_chain.iter_mut().for_each(|access| self.field_of_expression(access));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;

    use super::*;
    use crate::statement::ast::StatementKind;
    use crate::statement::parser::parse;

    #[test]
    fn names_take_the_case_they_were_declared_in() {
        let check = |sql: &str, expected: &str| {
            let StatementKind::Query(mut query) = parse(sql).unwrap().remove(0).kind else { panic!("{sql}") };
            let mut spelling = Spelling::default();
            let nested = DataType::Struct(vec![Field::new("innerName", DataType::Utf8, true)].into());
            spelling.declare_columns(
                &vec![Field::new("userName", nested, true), Field::new("title", DataType::Utf8, true)].into(),
            );
            spelling.apply(&mut query);
            assert_eq!(query.to_string(), expected);
        };
        check("SELECT USERNAME.innername, Title FROM Pins", "SELECT userName.innerName, title FROM pins");
        check(
            "SELECT P.TITLE AS Heading FROM pins AS P ORDER BY heading",
            "SELECT p.title AS Heading FROM pins AS p ORDER BY Heading",
        );
        check("WITH X AS (SELECT 1 AS a) SELECT x.A, X.* FROM x", "WITH x AS (SELECT 1 AS a) SELECT x.a, x.* FROM x");
        check("SELECT transform(a, X -> x + TITLE) FROM p", "SELECT transform(a, X -> X + title) FROM p");
        // An alias may differ from a column in case alone.
        check(
            "SELECT upper(title) AS TITLE FROM p WHERE Title = 'x' ORDER BY title",
            "SELECT upper(title) AS TITLE FROM p WHERE title = 'x' ORDER BY TITLE",
        );
        check(
            "SELECT Title AS x FROM (SELECT title AS TITLE FROM p)",
            "SELECT title AS x FROM (SELECT title AS title FROM p)",
        );
        check(
            "SELECT * EXCEPT (TITLE) FROM a JOIN b USING (Title)",
            "SELECT * EXCEPT (title) FROM a JOIN b USING(title)",
        );
    }
}
