//! Lookups of completion in the session, the warehouse or a store.
//!
//! The editor must never block. Each lookup runs on the runtime with a timeout, and the editor shows the answer when it
//! arrives. Answers are cached until the next statement, which may change them. A lookup that fails or times out has an empty
//! answer.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use super::functions;
use crate::session::Session;
use crate::statement;
use pinsql_base::error::Result;

/// The timeout of a lookup.
const DEADLINE: Duration = Duration::from_secs(3);
/// The time that a key press waits for an answer. Most answers arrive earlier; the others are shown later.
const PATIENCE: Duration = Duration::from_millis(80);
/// Maximum number of cached answers: many times the need of one statement.
const ANSWERS_MAX: usize = 256;
/// Maximum number of tables that are opened for their columns.
const TABLES_MAX: usize = 50;
/// A longer query is pasted data, and is not looked up.
const QUESTION_BYTES_MAX: usize = 16 << 10;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Question {
    Schemas,
    /// The tables and views of a schema; None is the current schema and the temporary views.
    Tables(Option<String>),
    /// The columns of a query.
    Columns(String),
    /// The columns of all tables and views that need no schema.
    AllColumns,
    Functions,
    /// The names in a folder.
    Folder(String),
}

/// A name and its description in a menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(crate) name: String,
    pub(crate) about: String,
}

pub(super) type Answer = Arc<Vec<Known>>;

/// Runs lookups, and caches their answers.
#[derive(Clone)]
pub(in crate::cli::repl) struct Lookups(Arc<Inner>);

struct Inner {
    session: Arc<Session>,
    runtime: Handle,
    answers: Mutex<Answers>,
    arrived: Condvar,
}

#[derive(Default)]
struct Answers {
    /// None while the lookup runs.
    known: HashMap<Question, Option<Answer>>,
    open: usize,
    /// True if an answer has arrived since the editor last checked.
    has_news: bool,
    /// The number of statements that have run. Answers from before the last one are discarded.
    age: u64,
}

impl Lookups {
    pub(in crate::cli::repl) fn new(session: Arc<Session>, runtime: Handle) -> Self {
        Self(Arc::new(Inner { session, runtime, answers: Mutex::default(), arrived: Condvar::new() }))
    }

    pub(super) fn session(&self) -> &Session {
        &self.0.session
    }

    /// Discards all answers, after a statement has run.
    pub(in crate::cli::repl) fn forget(&self) {
        let mut answers = self.0.answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers = Answers { age: answers.age + 1, ..Answers::default() };
    }

    /// The answer, if it is cached or arrives within [`PATIENCE`].
    pub(super) fn ask(&self, question: &Question) -> Option<Answer> {
        let mut answers = self.0.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if !answers.known.contains_key(question) {
            if answers.known.len() >= ANSWERS_MAX {
                answers.known.retain(|_, answer| answer.is_none());
            }
            answers.known.insert(question.clone(), None);
            answers.open += 1;
            self.start(question.clone(), answers.age);
        }
        let is_open = |answers: &mut Answers| answers.known.get(question).is_some_and(Option::is_none);
        let waited = self.0.arrived.wait_timeout_while(answers, PATIENCE, is_open);
        let (answers, _) = waited.unwrap_or_else(PoisonError::into_inner);
        answers.known.get(question).cloned().flatten()
    }

    fn start(&self, question: Question, age: u64) {
        let lookups = self.clone();
        // On a blocking thread: resolving a query can occupy a thread for some time, and statements need the workers.
        self.0.runtime.spawn_blocking(move || {
            let find = async { tokio::time::timeout(DEADLINE, find(&lookups.0.session, &question)).await };
            let asked = lookups.0.runtime.block_on(find);
            let answer = asked.ok().and_then(Result::ok).unwrap_or_default();
            let mut answers = lookups.0.answers.lock().unwrap_or_else(PoisonError::into_inner);
            if answers.age == age {
                answers.known.insert(question, Some(Arc::new(answer)));
                answers.open = answers.open.saturating_sub(1);
                answers.has_news = true;
                lookups.0.arrived.notify_all();
            }
        });
    }

    /// Whether lookups run, and whether an answer has arrived since the last call.
    pub(super) fn state(&self) -> (bool, bool) {
        let mut answers = self.0.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let has_news = std::mem::take(&mut answers.has_news);
        (answers.open > 0, has_news)
    }
}

async fn find(session: &Session, question: &Question) -> Result<Vec<Known>> {
    let named = |names: Vec<String>, about: &str| {
        names.into_iter().map(|name| Known { name, about: about.to_owned() }).collect::<Vec<_>>()
    };
    Ok(match question {
        Question::Schemas => named(session.warehouse().schemas().await?, "schema"),
        Question::Tables(schema) => {
            let of = schema.clone().unwrap_or_else(|| session.current_schema());
            let mut known = named(session.warehouse().tables(&of).await?, "table");
            if schema.is_none() {
                known.extend(named(session.views().names(), "view"));
            }
            known
        }
        Question::Columns(query) if query.len() > QUESTION_BYTES_MAX => Vec::new(),
        Question::Columns(query) => {
            let columns = statement::columns(session, query).await?;
            columns.into_iter().map(|(name, data_type)| Known { name, about: data_type }).collect()
        }
        Question::AllColumns => all_columns(session).await?,
        Question::Functions => functions::all(session)
            .into_iter()
            .map(|function| Known { about: function.about(), name: function.name })
            .collect(),
        Question::Folder(folder) => named(session.browse(folder).await?, ""),
    })
}

async fn all_columns(session: &Session) -> Result<Vec<Known>> {
    let mut names = session.views().names();
    names.extend(session.warehouse().tables(&session.current_schema()).await?);
    let mut known: Vec<Known> = Vec::new();
    for table in names.into_iter().take(TABLES_MAX) {
        // A table that cannot be opened has no columns to offer.
        let query = format!("SELECT * FROM `{}`", table.replace('`', "``"));
        let columns = statement::columns(session, &query).await.unwrap_or_default();
        for (name, data_type) in columns {
            match known.iter_mut().find(|known| known.name == name) {
                Some(known) => known.about = "column of several tables".to_owned(),
                None => known.push(Known { name, about: format!("{data_type}, {table}") }),
            }
        }
    }
    Ok(known)
}
