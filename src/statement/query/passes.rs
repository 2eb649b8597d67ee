//! The passes over the AST of a query: one list, in order.
//!
//! Each pass rewrites the query from a Databricks form into a form that DataFusion plans with the same meaning, or refuses it.
//! The order matters, so each pass states its reason for its place. The list has four groups, because work that is not a pass
//! happens between them: stored definitions are loaded, relations are opened, and finally DataFusion plans the query.
//!
//! Deliberately absent: rewrites that need types. Stars of a STRUCT (`struct_star`) and the bodies of SQL functions (`inline`)
//! need a plan, and the meaning of operators and casts is in the planners and the analyzer rule of `session`.

use std::sync::Arc;

use datafusion::execution::SessionState;
use sqlparser::ast::{Cte, Query};

use super::definitions::Definitions;
use super::spelling::Spelling;
use super::table_function_calls::{self, TableFunctionCalls};
use super::time_travel::{self, Versioned};
use super::{
    cast_names, column_names, file_paths, generators, grouping, identifiers, json_calls, lambdas, literals,
    metadata_column, minus, misplaced, parameters, pivot, qualified_names, session_facts, sql_function_bodies,
    sql_functions, tuples, unsupported_clauses, variable_values, view_expansion, window_calls, windows,
};
use crate::catalog::TableName;
use crate::session::Session;
use crate::session::temporary_views::View;
use pinsql_base::error::Result;

/// The input of the passes, and their findings in the query.
pub(super) struct Context<'a> {
    pub(super) session: &'a Session,
    /// The one state of the statement. All passes and all sources share it.
    pub(super) state: Arc<SessionState>,
    /// The schema of table names that give none.
    schema: String,
    /// The stored views and functions that the query names. They are loaded between the first two groups.
    pub(super) definitions: Definitions,
    /// The stored views that the query reads.
    pub(super) views: Vec<(TableName, Arc<View>)>,
    /// The versions of tables that the query reads.
    pub(super) versions: Vec<Versioned>,
    /// The calls of table functions, and the places of all relations.
    pub(super) calls: TableFunctionCalls,
    /// The declared names. They are complete when all relations are open.
    pub(super) spelling: Spelling,
    /// The bodies of the SQL functions that the query calls.
    pub(super) bodies: Vec<Cte>,
}

impl<'a> Context<'a> {
    pub(super) fn new(session: &'a Session) -> Self {
        Self {
            session,
            state: Arc::new(session.state()),
            schema: session.current_schema(),
            definitions: Definitions::default(),
            views: Vec::new(),
            versions: Vec::new(),
            calls: TableFunctionCalls::default(),
            spelling: Spelling::default(),
            bodies: Vec::new(),
        }
    }

    fn expand_views(&mut self, query: &mut Query) -> Result<()> {
        let known = view_expansion::Known::of(self.session, &self.definitions, &self.schema);
        let read = view_expansion::expand(known, query)?.permanent;
        let view = |name: TableName| self.definitions.views.get(&name).cloned().map(|view| (name, view));
        self.views = read.into_iter().filter_map(view).collect();
        Ok(())
    }
}

/// One pass over the AST.
pub(super) struct Pass {
    name: &'static str,
    run: fn(&mut Context<'_>, &mut Query) -> Result<()>,
}

/// The passes over the text of the user alone. After them, the definitions that the query names are loaded.
pub(super) const BEFORE_DEFINITIONS: [Pass; 7] = [
    // `:name` becomes a literal. First, because a value can be anywhere, also in the argument of IDENTIFIER.
    Pass { name: "parameters", run: |context, query| parameters::bind(query, &context.session.params()) },
    // IDENTIFIER(text) becomes a name. Before every pass that reads names.
    Pass { name: "identifiers", run: |context, query| identifiers::resolve(context.session, &context.state, query) },
    // A path in FROM becomes a call. Before the definitions are loaded, because it looks like the name of a table.
    Pass {
        name: "file paths",
        run: |_, query| {
            file_paths::write_out(query);
            Ok(())
        },
    },
    // PIVOT and UNPIVOT become grouped queries and unions. Before `generators`, which uses PIVOT nodes for its own relations.
    Pass { name: "pivot", run: |_, query| pivot::write_out(query) },
    // MINUS becomes EXCEPT, so that the later passes meet one word only.
    Pass {
        name: "minus",
        run: |_, query| {
            minus::write_out(query);
            Ok(())
        },
    },
    // Clauses that DataFusion ignores are errors. Before `views`, whose queries were checked when the views were made.
    Pass { name: "unsupported clauses", run: |_, query| unsupported_clauses::refuse_ignored(query) },
    // Errors that get a place only here. Before `views`, for the same reason.
    Pass { name: "misplaced forms", run: |_, query| misplaced::refuse(query) },
];

/// The passes that make the query independent of the session. A stream keeps the query that comes out.
pub(super) const AFTER_DEFINITIONS: [Pass; 10] = [
    // A name of a view becomes the query of the view. First, so that all later passes also rewrite that query.
    Pass { name: "views", run: |context, query| context.expand_views(query) },
    // Variables become literals where only a constant can be, such as LIMIT. Elsewhere a column of the same name wins, and only
    // the planner sees the columns.
    Pass {
        name: "variables in constants",
        run: |context, query| {
            variable_values::put_constants(context.session, query);
            Ok(())
        },
    },
    // Generators become relations. Before `column names`, which would name the generator and not its columns.
    Pass {
        name: "generators",
        run: |context, query| {
            generators::write_out(query, &|name| context.state.aggregate_functions().contains_key(name))
        },
    },
    // Names of windows become their definitions. After `views`, so that queries of views get them too.
    Pass { name: "windows", run: |_, query| windows::write_out(query) },
    // Calls of window functions that Spark refuses are errors. After `windows`, which brings the frames.
    Pass { name: "window calls", run: |_, query| window_calls::refuse(query) },
    // Unnamed columns take their text as a name. Before every pass that changes the text of an expression.
    Pass {
        name: "column names",
        run: |_, query| {
            column_names::name_columns(query);
            Ok(())
        },
    },
    // `(a, b)` becomes a call of named_struct. After `column names`, which shows the text of the user.
    Pass { name: "tuples", run: |_, query| tuples::write_out(query) },
    // `s.field` of a parameter `s` of a lambda becomes a field access. Before `spelling`, which would read `s` as a relation.
    Pass {
        name: "lambda fields",
        run: |_, query| {
            lambdas::open_fields(query);
            Ok(())
        },
    },
    // Calls of SQL functions become calls of placeholders, and the bodies become WITH queries. After `views`, which brings calls.
    Pass {
        name: "SQL functions",
        run: |context, query| sql_functions::expand(context.session, &context.definitions, query),
    },
    // current_schema() and its like become texts. After `SQL functions`, so that the bodies get them too.
    Pass {
        name: "session facts",
        run: |context, query| {
            session_facts::put(context.session, query);
            Ok(())
        },
    },
];

/// The passes that find what the query reads. After them, the relations are opened.
pub(super) const BEFORE_OPENING: [Pass; 3] = [
    // JSON paths and the constants of from_json become plain texts. Before `spelling`, which reads the schema of from_json.
    Pass { name: "JSON calls", run: |context, query| json_calls::write_out(&context.state, query) },
    // `t VERSION AS OF 3` and delta.`path` become names. Before `table functions`, which would fold the case of paths.
    Pass {
        name: "time travel",
        run: |context, query| {
            context.versions = time_travel::take(context.session, &context.state, query)?;
            Ok(())
        },
    },
    // Calls of table functions become names. Last, because the places of all relations are noted here.
    Pass {
        name: "table functions",
        run: |context, query| {
            context.calls = table_function_calls::take(query);
            Ok(())
        },
    },
];

/// The passes that need the columns of the open relations. After them, DataFusion plans the query.
pub(super) const AFTER_OPENING: [Pass; 7] = [
    // `*` leaves out `_metadata`. Before `spelling`, which also respells what follows EXCEPT.
    Pass {
        name: "metadata column",
        run: |context, query| {
            if context.calls.names_metadata {
                metadata_column::hide(query);
            }
            Ok(())
        },
    },
    // Ordinals and ALL in GROUP BY and ORDER BY become expressions. After everything is open, because a relation may have a
    // column `all`.
    Pass { name: "grouping", run: |context, query| grouping::write_out(query, context.spelling.declares("all")) },
    // `schema.table.column` takes the relation of that schema. Before `spelling`, while the names are as they are written.
    Pass {
        name: "qualified names",
        run: |context, query| qualified_names::resolve(&context.schema, &context.spelling, query),
    },
    // Names take the case in which they are declared. After everything is open, because the relations declare the names.
    Pass {
        name: "spelling",
        run: |context, query| {
            context.spelling.declare_names(context.session.variables().names());
            std::mem::take(&mut context.spelling).apply(query);
            Ok(())
        },
    },
    // The bodies of SQL functions leave the query. After `spelling`, which rewrites them together with the query.
    Pass {
        name: "function bodies",
        run: |context, query| {
            context.bodies = sql_function_bodies::take(query);
            Ok(())
        },
    },
    // Numbers get their types, and calls the form of DataFusion. Here, because the passes before it expect the forms of the user.
    Pass { name: "literals and calls", run: |_, query| literals::write_out_types(query) },
    // Casts become a part of names where two names would be equal. After `literals and calls`, which writes casts.
    Pass {
        name: "cast names",
        run: |context, query| {
            cast_names::tell_apart(query, &|name| context.state.aggregate_functions().contains_key(name));
            Ok(())
        },
    },
];

/// Runs one group of passes over `query`.
pub(super) fn run(passes: &[Pass], context: &mut Context<'_>, query: &mut Query) -> Result<()> {
    for pass in passes {
        tracing::trace!(pass = pass.name, "rewriting a query");
        (pass.run)(context, query)?;
    }
    Ok(())
}
