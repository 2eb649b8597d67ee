//! Expands `s.*`, where `s` is a STRUCT, into a column for each field.
//!
//! The fields follow from the type of `s`. To find it, DataFusion plans the FROM clause around the star with `s` alone in the
//! select list. The innermost stars come first. A name that is both a relation and a column means the relation, as in Spark.
//!
//! Deliberately absent: stars after other expressions (`f(x).*`), which Databricks does not have.

use std::ops::ControlFlow;

use arrow::datatypes::{DataType, Fields};
use datafusion::execution::SessionState;
use datafusion::sql::parser::Statement as EngineStatement;
use sqlparser::ast::{
    Cte, Expr, GroupByExpr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Spanned, Statement, TableFactor, TableWithJoins, VisitorMut,
    WildcardAdditionalOptions, With,
};

use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result, Span};

/// The largest number of such stars in a query: for each one, DataFusion plans the FROM clause.
const STARS_MAX: usize = 200;

/// Expands every star of a STRUCT in `query`. The relations of the query are in `state`.
pub(super) async fn expand(state: &SessionState, query: &mut Query) -> Result<()> {
    let mut known: Vec<Vec<SelectItem>> = Vec::new();
    loop {
        let mut attempt = query.clone();
        let mut stars = Stars { known: known.iter(), common: Vec::new(), open: Vec::new() };
        match walk::rewrite(&mut attempt, &mut stars) {
            ControlFlow::Continue(()) if known.is_empty() => return Ok(()),
            ControlFlow::Continue(()) => {
                *query = attempt;
                return Ok(());
            }
            ControlFlow::Break(_) if known.len() == STARS_MAX => {
                return Err(Error::new(
                    ErrorCode::StatementTooComplex,
                    format!("the query has more than {STARS_MAX} stars of a STRUCT"),
                ));
            }
            ControlFlow::Break(star) => known.push(star.fields(state).await?),
        }
    }
}

/// The first star that is not expanded yet.
struct Star {
    path: Vec<Ident>,
    options: WildcardAdditionalOptions,
    /// A query with the STRUCT as its one column.
    probe: Box<Query>,
    span: Span,
}

impl Star {
    /// The columns that replace the star.
    async fn fields(self, state: &SessionState) -> Result<Vec<SelectItem>> {
        let written = ObjectName(self.path.iter().cloned().map(ObjectNamePart::Identifier).collect()).to_string();
        let statement = EngineStatement::Statement(Box::new(Statement::Query(self.probe)));
        let plan = state.statement_to_plan(statement).await.map_err(|error| Error::from(error).at(self.span))?;
        let fields = match plan.schema().as_arrow().fields().iter().next().map(|field| field.data_type()) {
            Some(DataType::Struct(fields)) => fields.clone(),
            Some(_) => {
                return Err(Error::new(
                    ErrorCode::DatatypeMismatch,
                    format!("`{written}.*`: `{written}` is not a STRUCT"),
                )
                .at(self.span));
            }
            None => Fields::empty(),
        };
        let left_out = left_out(&self.options, &fields)?;
        let names = fields.iter().map(|field| field.name()).filter(|name| !left_out.contains(&name.to_lowercase()));
        let item = |name: &String| {
            let field = Ident::with_quote('`', name);
            let path = self.path.iter().cloned().chain([field.clone()]).collect();
            SelectItem::ExprWithAlias { expr: Expr::CompoundIdentifier(path), alias: field }
        };
        Ok(names.map(item).collect())
    }
}

/// The names in EXCEPT, in lower case. Other options of a star are errors.
fn left_out(options: &WildcardAdditionalOptions, fields: &Fields) -> Result<Vec<String>> {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    if opt_ilike.is_some()
        || opt_exclude.is_some()
        || opt_replace.is_some()
        || opt_rename.is_some()
        || opt_alias.is_some()
    {
        return Err(
            Error::new(ErrorCode::UnsupportedFeature, "only EXCEPT can follow the star of a STRUCT").at(options.span())
        );
    }
    let Some(except) = opt_except else { return Ok(Vec::new()) };
    let left_out = std::iter::once(&except.first_element).chain(&except.additional_elements);
    left_out
        .map(|name| match fields.iter().any(|field| field.name().eq_ignore_ascii_case(&name.value)) {
            true => Ok(name.value.to_lowercase()),
            false => Err(Error::new(ErrorCode::UnresolvedField, format!("the STRUCT has no field `{}`", name.value))
                .at(name.span)),
        })
        .collect()
}

/// Expands the stars whose fields are known, and stops at the next star.
struct Stars<'a> {
    known: std::slice::Iter<'a, Vec<SelectItem>>,
    /// The WITH queries in scope, the outermost first.
    common: Vec<Cte>,
    /// For each enclosing query, its WITH clause, which is already visited, and the number of WITH queries in scope before it.
    open: Vec<(Option<With>, usize)>,
}

impl VisitorMut for Stars<'_> {
    type Break = Star;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Star> {
        let outer = self.common.len();
        let mut with = query.with.take();
        for common in with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            walk::rewrite(&mut common.query, self)?;
            self.common.push(common.clone());
        }
        self.open.push((with, outer));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Star> {
        if let Some((with, outer)) = self.open.pop() {
            query.with = with;
            self.common.truncate(outer);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Star> {
        for position in (0..select.projection.len()).rev() {
            let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) =
                &select.projection[position]
            else {
                continue;
            };
            let path: Option<Vec<Ident>> = name.0.iter().map(|part| part.as_ident().cloned()).collect();
            let Some(path) = path.filter(|path| !names_relation(path, &select.from)) else { continue };
            match self.known.next() {
                Some(items) => {
                    select.projection.splice(position..=position, items.iter().cloned());
                }
                None => {
                    let star = Star {
                        probe: Box::new(self.probe(select, &path)),
                        span: name.span().into(),
                        options: options.clone(),
                        path,
                    };
                    return ControlFlow::Break(star);
                }
            }
        }
        ControlFlow::Continue(())
    }
}

impl Stars<'_> {
    /// `SELECT path` with the FROM clause of `select`.
    fn probe(&self, select: &Select, path: &[Ident]) -> Query {
        let expr = match path {
            [name] => Expr::Identifier(name.clone()),
            path => Expr::CompoundIdentifier(path.to_vec()),
        };
        let select = Select {
            projection: vec![SelectItem::UnnamedExpr(expr)],
            distinct: None,
            selection: None,
            group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
            having: None,
            qualify: None,
            named_window: Vec::new(),
            distribute_by: Vec::new(),
            ..select.clone()
        };
        let mut common: Vec<Cte> = Vec::new();
        for cte in &self.common {
            // An inner one hides an outer one with the same name.
            common.retain(|known| known.alias.name.value != cte.alias.name.value);
            common.push(cte.clone());
        }
        let with = With {
            with_token: sqlparser::ast::helpers::attached_token::AttachedToken::empty(),
            recursive: false,
            cte_tables: common,
        };
        Query {
            with: (!with.cte_tables.is_empty()).then_some(with),
            body: Box::new(SetExpr::Select(Box::new(select))),
            order_by: None,
            limit_clause: None,
            fetch: None,
            locks: Vec::new(),
            for_clause: None,
            settings: None,
            format_clause: None,
            pipe_operators: Vec::new(),
        }
    }
}

/// True if `path` is the name or the alias of a relation in the FROM clause.
fn names_relation(path: &[Ident], from: &[TableWithJoins]) -> bool {
    let factors = |tables: &TableWithJoins| {
        std::iter::once(&tables.relation)
            .chain(tables.joins.iter().map(|join| &join.relation))
            .any(|factor| is_named(path, factor))
    };
    from.iter().any(factors)
}

fn is_named(path: &[Ident], factor: &TableFactor) -> bool {
    let matches_name = |name: &Ident| matches!(path, [only] if only.value.eq_ignore_ascii_case(&name.value));
    match factor {
        TableFactor::NestedJoin { table_with_joins, alias: None } => {
            names_relation(path, std::slice::from_ref(table_with_joins))
        }
        TableFactor::Table { alias: None, name, .. } => {
            // `t` and `s.t` both mean the relation `s.t`.
            let parts: Vec<&Ident> = name.0.iter().filter_map(ObjectNamePart::as_ident).collect();
            path.len() <= parts.len()
                && path
                    .iter()
                    .rev()
                    .zip(parts.iter().rev())
                    .all(|(given, part)| given.value.eq_ignore_ascii_case(&part.value))
        }
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. }
        | TableFactor::NestedJoin { alias: Some(alias), .. } => matches_name(&alias.name),
        // A generator and the relation that it follows, see `generators`.
        TableFactor::Pivot { table, alias: Some(alias), .. } => matches_name(&alias.name) || is_named(path, table),
        _ => false,
    }
}
