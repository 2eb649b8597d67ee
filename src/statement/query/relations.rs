//! What a query reads: each table and each table function in it is resolved once, before DataFusion plans it.
//!
//! A call such as `read_files(…, format => 'json')` lists objects and may read a sample of them, which DataFusion's
//! planner, being synchronous, cannot do, and it refuses named arguments. So the calls are evaluated here, and the query
//! goes on with a plain name in the place of each. A table that a query names twice is opened once: a statement sees
//! one version of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider,
    TableProvider,
};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::ColumnarValue;
use datafusion::sql::parser::Statement as EngineStatement;
use sqlparser::ast::{
    ExceptSelectItem, Expr, ExprWithAlias, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, Query,
    Select, SelectItem, Spanned, Statement, TableAlias, TableFactor, VisitMut, VisitorMut,
};

use super::Purpose;
use super::spelling::Spelling;
use crate::catalog::{CATALOG_NAME, TableName};
use crate::error::{Error, ErrorKind, Result, Span, nearest};
use crate::session::Session;
use crate::source::objects::{self, METADATA_COLUMN};
use crate::source::rejects::Rejects;

/// The table functions that pinsql itself provides.
const TABLE_FUNCTIONS: [&str; 1] = ["read_files"];

/// The schema that holds the relations of table functions. No user's schema can have a space in its name.
const CALLS_SCHEMA: &str = "table function";

/// What a query plans in, and the version of each table that it reads.
pub(super) struct Resolved {
    pub(super) state: SessionState,
    pub(super) reads: HashMap<TableName, u64>,
}

/// Opens everything that `query` reads and rewrites the query to name it.
pub(super) async fn resolve(
    session: &Session,
    query: &mut Query,
    rejects: &Rejects,
    purpose: Purpose,
) -> Result<Resolved> {
    let mut state = session.state();
    let mut calls = Calls::default();
    // Infallible: the visitor never breaks off.
    let _ = query.visit(&mut calls);

    let catalog = MemoryCatalogProvider::new();
    let mut spelling = Spelling::default();
    let mut add = |schema: &str, table: &str, provider: Arc<dyn TableProvider>| -> Result<()> {
        spelling.declare_columns(provider.schema().fields());
        if catalog.schema(schema).is_none() {
            catalog.register_schema(schema, Arc::new(MemorySchemaProvider::new()))?;
        }
        if let Some(schema) = catalog.schema(schema) {
            schema.register_table(table.to_owned(), provider)?;
        }
        Ok(())
    };

    for call in &calls.found {
        let provider = open_call(session, &state, call, calls.names_metadata, rejects, purpose)
            .await
            .map_err(|error| error.at(call.span))?;
        add(CALLS_SCHEMA, &call.relation, provider)?;
    }
    let references = state
        .resolve_table_references(&EngineStatement::Statement(Box::new(Statement::Query(Box::new(query.clone())))))?;
    let mut reads = HashMap::new();
    for reference in references {
        let parts: Vec<&str> =
            [reference.catalog(), reference.schema(), Some(reference.table())].into_iter().flatten().collect();
        let key = parts.join(".");
        if reference.schema() == Some(CALLS_SCHEMA) || calls.other_functions.contains(&key) {
            continue;
        }
        let span = calls.relation_spans.get(&key).copied();
        let open = async {
            let name = TableName::from_parts(&parts, &session.current_schema())?;
            let opened = session.open_table(&name).await?;
            add(name.schema(), name.table(), opened.provider)?;
            if let Some(version) = opened.version {
                reads.insert(name, version);
            }
            Ok(())
        };
        let opened: Result<()> = open.await;
        opened.map_err(|error| match span {
            Some(span) => error.at(span),
            None => error,
        })?;
    }
    if calls.names_metadata {
        let _ = query.visit(&mut HideMetadata);
    }
    spelling.apply(query);

    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(CATALOG_NAME.to_owned(), Arc::new(catalog));
    state.register_catalog_list(Arc::new(catalogs));
    Ok(Resolved { state, reads })
}

/// A call of one of our table functions, and the name its relation goes by.
struct Call {
    function: String,
    relation: String,
    arguments: Vec<FunctionArg>,
    span: Span,
}

/// Finds the calls, puts a name in the place of each, folds the names of relations, and notes where every one stands.
#[derive(Default)]
struct Calls {
    found: Vec<Call>,
    /// Table functions that are DataFusion's own.
    other_functions: HashSet<String>,
    relation_spans: HashMap<String, Span>,
    /// Whether the query names the `_metadata` column anywhere.
    names_metadata: bool,
}

impl VisitorMut for Calls {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for cte in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            cte.alias.name.value = cte.alias.name.value.to_lowercase();
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        for part in &mut relation.0 {
            if let ObjectNamePart::Identifier(ident) = part {
                ident.value = ident.value.to_lowercase();
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias, args, .. } = factor else { return ControlFlow::Continue(()) };
        let span = Span::from(name.span());
        let written = name.to_string().replace('`', "");
        self.relation_spans.insert(written.to_lowercase(), span);
        self.relation_spans.insert(written.clone(), span);
        let function = written.to_lowercase();
        if args.is_some() && !TABLE_FUNCTIONS.contains(&function.as_str()) {
            self.other_functions.insert(written);
            self.other_functions.insert(function);
        } else if let Some(arguments) = args.take() {
            let relation = match self.found.len() {
                0 => function.clone(),
                count => format!("{function}_{}", count + 1),
            };
            let part = |value: &str| ObjectNamePart::Identifier(Ident::with_quote('`', value));
            *name = ObjectName(vec![part(CALLS_SCHEMA), part(&relation)]);
            alias.get_or_insert_with(|| TableAlias {
                explicit: true,
                name: Ident::new(&function),
                columns: Vec::new(),
                at: None,
            });
            self.found.push(Call { function, relation, arguments: arguments.args, span });
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let is_metadata = |ident: &Ident| ident.value.eq_ignore_ascii_case(METADATA_COLUMN);
        self.names_metadata |= match expr {
            Expr::Identifier(ident) => is_metadata(ident),
            Expr::CompoundIdentifier(idents) => idents.iter().any(is_metadata),
            _ => false,
        };
        ControlFlow::Continue(())
    }
}

/// `*` does not include `_metadata`, as in Databricks: it has to be named.
struct HideMetadata;

impl VisitorMut for HideMetadata {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let reads_files = select.from.iter().any(|from| {
            std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)).any(|relation| {
                matches!(relation, TableFactor::Table { name, .. }
                    if name.0.first().and_then(|part| part.as_ident()).is_some_and(|ident| ident.value == CALLS_SCHEMA))
            })
        });
        if !reads_files {
            return ControlFlow::Continue(());
        }
        for item in &mut select.projection {
            if let SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) = item {
                let metadata = Ident::with_quote('`', METADATA_COLUMN);
                match &mut options.opt_except {
                    Some(except) => except.additional_elements.push(metadata),
                    None => {
                        options.opt_except =
                            Some(ExceptSelectItem { first_element: metadata, additional_elements: Vec::new() });
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }
}

async fn open_call(
    session: &Session,
    state: &SessionState,
    call: &Call,
    with_metadata: bool,
    rejects: &Rejects,
    purpose: Purpose,
) -> Result<Arc<dyn TableProvider>> {
    let (path, options) = arguments(state, call)?;
    let files = objects::ReadFiles { path, options, with_metadata };
    match purpose {
        Purpose::Check if files.declares_schema() => files.declared_table(),
        Purpose::Check | Purpose::Run => {
            session.connect(&files.path).await?;
            objects::read_files(files, &objects::SourceEnvironment::new(state.clone(), rejects.clone())).await
        }
    }
}

/// The path, which may be positional, and the options by name, all of them constants.
fn arguments(state: &SessionState, call: &Call) -> Result<(String, BTreeMap<String, ScalarValue>)> {
    let mut options = BTreeMap::new();
    let mut path = None;
    for (position, argument) in call.arguments.iter().enumerate() {
        let (name, value) = match argument {
            FunctionArg::Unnamed(value) if position == 0 => ("path".to_owned(), value),
            FunctionArg::Named { name, arg, .. } => (name.value.clone(), arg),
            other => {
                return Err(Error::sql(format!("the argument {other} of {} needs a name", call.function))
                    .at(other.span())
                    .with_hint("options are given as name => value"));
            }
        };
        let FunctionArgExpr::Expr(expr) = value else {
            return Err(Error::sql(format!("{value} is not a value for `{name}`")).at(value.span()));
        };
        let constant = constant(state, expr)?;
        if name.eq_ignore_ascii_case("path") {
            path = text(&constant);
            if path.is_none() {
                return Err(
                    Error::sql(format!("the path of {} must be a string, not NULL", call.function)).at(expr.span())
                );
            }
        } else if options.insert(name.clone(), constant).is_some() {
            return Err(Error::sql(format!("the option `{name}` is given twice")).at(argument.span()));
        }
    }
    let path = path.ok_or_else(|| {
        Error::sql(format!("{} needs a path", call.function)).with_hint("read_files('folder/*.json', format => 'json')")
    })?;
    Ok((path, options))
}

/// The value of an expression that reads no table.
pub(super) fn constant(state: &SessionState, expr: &Expr) -> Result<ScalarValue> {
    let evaluate = || -> Result<ScalarValue> {
        let aliased = ExprWithAlias { expr: expr.clone(), alias: None };
        let schema = DFSchema::empty();
        let logical = state.create_logical_expr_from_sql_expr(aliased, &schema)?;
        let physical = state.create_physical_expr(logical, &schema)?;
        let row = RecordBatch::try_new_with_options(
            Arc::new(Schema::empty()),
            Vec::new(),
            &RecordBatchOptions::new().with_row_count(Some(1)),
        )
        .map_err(datafusion::error::DataFusionError::from)?;
        Ok(match physical.evaluate(&row)? {
            ColumnarValue::Scalar(value) => value,
            ColumnarValue::Array(array) => ScalarValue::try_from_array(&array, 0)?,
        })
    };
    evaluate().map_err(|error| {
        let error = error.at(expr.span());
        match error.hint {
            Some(_) if error.kind != ErrorKind::Sql => error,
            _ => error.with_hint("this must be a constant: literals, parameters and functions of them"),
        }
    })
}

/// The text of a string constant; `None` for NULL and for anything else.
pub(super) fn text(value: &ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => text.clone(),
        _ => None,
    }
}

/// The error for a table function that nobody provides.
pub(super) fn unknown_table_function(name: &str, known: impl IntoIterator<Item = String>) -> Error {
    let known: Vec<String> = known.into_iter().chain(TABLE_FUNCTIONS.map(str::to_owned)).collect();
    let error = Error::sql(format!("there is no table function `{name}`"));
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error,
    }
}
