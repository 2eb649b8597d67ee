//! Completion: the possible words at the cursor, from the text, the session and the warehouse.

mod context;
pub(super) mod functions;
mod keywords;
mod lookup;
mod paths;
mod scope;

use std::collections::HashSet;

use reedline::{Completer, CompletionResult, CompletionStatus, Span, Suggestion};

use self::context::{Context, Place, context, statement_around};
pub(super) use self::keywords::is_keyword;
pub(super) use self::lookup::Lookups;
use self::lookup::{Known, Question};
use self::scope::{Relation, Words, unquoted};
use super::commands::{self, Values};
use crate::cli::settings::format_names;
use crate::statement::{STATEMENTS, TABLE_FUNCTIONS, table_function_options};

/// Maximum number of suggestions in a menu.
const SUGGESTIONS_MAX: usize = 500;

pub(super) struct SqlCompleter {
    lookups: Lookups,
}

impl SqlCompleter {
    pub(super) fn new(lookups: Lookups) -> Self {
        Self { lookups }
    }
}

impl Completer for SqlCompleter {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let mut search =
            Search { lookups: &self.lookups, text: line, cursor: pos, found: Vec::new(), is_waiting: false };
        let context = context(line, pos);
        search.fill(&context);
        if search.is_waiting {
            return CompletionResult::Pending;
        }
        CompletionResult::fresh(search.suggestions(&context))
    }

    fn poll_completion(&mut self) -> CompletionStatus {
        match self.lookups.state() {
            (_, true) => CompletionStatus::Ready,
            (true, false) => CompletionStatus::Pending,
            (false, false) => CompletionStatus::Idle,
        }
    }
}

/// A possible completion, before the filter by the written prefix.
struct Candidate {
    value: String,
    /// The text in the menu, if it differs from the value.
    shown: Option<String>,
    about: String,
    /// True if a space follows.
    spaced: bool,
}

/// One request for completions.
struct Search<'a> {
    lookups: &'a Lookups,
    text: &'a str,
    cursor: usize,
    found: Vec<Candidate>,
    /// True if the answer of a lookup is not there yet.
    is_waiting: bool,
}

impl Search<'_> {
    fn fill(&mut self, context: &Context) {
        match &context.place {
            Place::CommandName => {
                for command in commands::COMMANDS {
                    for name in command.names {
                        self.word(name, command.about);
                    }
                }
            }
            Place::CommandArgument { command } => self.command_argument(command, &context.prefix),
            Place::Statement => self.keywords(STATEMENTS.split(", "), &context.prefix),
            Place::Continuation => {
                self.continuation(context);
            }
            Place::Relation => {
                self.continuation(context);
                self.relations(&context.prefix);
            }
            Place::Schema => self.names(&Question::Schemas, ""),
            Place::AfterRelation => {
                if !self.continuation(context) {
                    self.keywords(keywords::CLAUSES.iter().copied(), &context.prefix);
                }
            }
            Place::Member { qualifier } => self.members(qualifier),
            Place::Argument { function } => {
                for option in table_function_options(function) {
                    self.push(format!("{option} => "), Some((*option).to_owned()), "option", false);
                }
            }
            Place::Expression => self.expression(context),
            Place::Parameter => {
                for (name, value) in self.lookups.session().params().iter() {
                    self.push(format!(":{name}"), None, &format!("{value:?}"), false);
                }
            }
            Place::Path => self.path(&context.prefix, false),
            Place::Value(values) => {
                values.iter().for_each(|value| self.push((*value).to_owned(), None, "value", false))
            }
            Place::Nothing => {}
        }
    }

    fn push(&mut self, value: String, shown: Option<String>, about: &str, spaced: bool) {
        self.found.push(Candidate { value, shown, about: about.to_owned(), spaced });
    }

    fn word(&mut self, word: &str, about: &str) {
        self.push(word.to_owned(), None, about, true);
    }

    /// Adds keywords, in the letter case of the written prefix.
    fn keywords<'k>(&mut self, words: impl Iterator<Item = &'k str>, prefix: &str) {
        let is_lower = prefix.chars().any(char::is_lowercase);
        for word in words {
            let word = if is_lower { word.to_lowercase() } else { word.to_owned() };
            let spaced = !word.ends_with('(');
            self.push(word, None, "keyword", spaced);
        }
    }

    /// Adds the keywords that can follow the word before the cursor. Returns false if there are none.
    fn continuation(&mut self, context: &Context) -> bool {
        let found = keywords::AFTER.iter().find(|(word, _)| *word == context.before);
        if let Some((_, words)) = found {
            self.keywords(words.iter().copied(), &context.prefix);
        }
        found.is_some()
    }

    /// Adds the names of a lookup, quoted if necessary, each followed by `end`.
    fn names(&mut self, question: &Question, end: &str) {
        match self.lookups.ask(question) {
            Some(known) => {
                for Known { name, about } in known.iter() {
                    let value = format!("{}{end}", quoted(name));
                    let shown = (value != *name).then(|| name.clone());
                    self.push(value, shown, about, false);
                }
            }
            None => self.is_waiting = true,
        }
    }

    fn relations(&mut self, prefix: &str) {
        let statement = statement_around(self.text, self.cursor);
        for name in Words::new(self.text, &statement).names_of_queries() {
            self.push(quoted(&name), None, "WITH", false);
        }
        self.names(&Question::Tables(None), "");
        for function in TABLE_FUNCTIONS {
            self.push(format!("{function}("), Some(function.to_owned()), "table function", false);
        }
        // Schemas come last, and only with a prefix: most names are tables.
        if !prefix.is_empty() {
            self.names(&Question::Schemas, ".");
        }
    }

    /// Adds the members of the names before a dot: columns of a relation, or tables of a schema.
    fn members(&mut self, qualifier: &[String]) {
        let matching: Vec<Relation> = self
            .scope()
            .into_iter()
            .filter(|relation| match (&relation.name, qualifier) {
                (Some(name), [.., last]) => name.eq_ignore_ascii_case(last),
                _ => false,
            })
            .collect();
        if matching.is_empty() {
            if let [schema] = qualifier {
                self.names(&Question::Tables(Some(schema.clone())), "");
            }
            return;
        }
        for relation in matching {
            self.names(&Question::Columns(relation.query), "");
        }
    }

    fn scope(&self) -> Vec<Relation> {
        Words::new(self.text, &statement_around(self.text, self.cursor)).relations(self.cursor)
    }

    fn expression(&mut self, context: &Context) {
        let scope = self.scope();
        // Before FROM is written, any table can be meant.
        if scope.is_empty() && !context.prefix.is_empty() {
            self.names(&Question::AllColumns, "");
        }
        for relation in scope {
            if let Some(name) = relation.name.as_ref().filter(|_| !context.prefix.is_empty()) {
                self.push(format!("{}.", quoted(name)), None, "relation", false);
            }
            self.names(&Question::Columns(relation.query), "");
        }
        if context.before == "SELECT" {
            self.continuation(context);
        }
        if context.prefix.is_empty() {
            return;
        }
        if let Some(functions) = self.lookups.ask(&Question::Functions) {
            for Known { name, about } in functions.iter() {
                self.push(format!("{name}("), Some(name.clone()), about, false);
            }
        } else {
            self.is_waiting = true;
        }
        self.keywords(keywords::IN_EXPRESSIONS.iter().chain(keywords::CLAUSES).copied(), &context.prefix);
    }

    fn command_argument(&mut self, command: &str, prefix: &str) {
        let Some(command) = commands::find(command) else { return };
        match command.values {
            Values::None => {}
            Values::Words(words) => words.iter().for_each(|word| self.word(word, "")),
            Values::Formats => format_names().iter().for_each(|name| self.word(name, "")),
            Values::Tables => self.names(&Question::Tables(None), ""),
            Values::Schemas => self.names(&Question::Schemas, ""),
            Values::Functions => self.names(&Question::Functions, ""),
            Values::Path => self.path(prefix, true),
        }
    }

    /// Adds the names in the folder of the written path. Only commands know `~`.
    fn path(&mut self, written: &str, is_of_command: bool) {
        let (folder, name) = paths::split(written);
        let Some(place) = paths::folder_to_list(folder) else { return };
        let place = if is_of_command { commands::local_path(&place).display().to_string() } else { place };
        if name == ".." {
            self.push(format!("{folder}../"), Some("../".to_owned()), "", false);
        }
        match self.lookups.ask(&Question::Folder(place)) {
            Some(known) => {
                let asks_for_hidden = name.starts_with(['.', '_']);
                for Known { name, .. } in known.iter() {
                    if asks_for_hidden || !name.starts_with('.') {
                        self.push(format!("{folder}{name}"), Some(name.clone()), "", false);
                    }
                }
            }
            None => self.is_waiting = true,
        }
    }

    /// The candidates that begin with the written prefix.
    fn suggestions(self, context: &Context) -> Vec<Suggestion> {
        let written = unquoted(&context.prefix).to_lowercase();
        let mut seen = HashSet::new();
        let span = Span::new(context.start.min(self.cursor), self.cursor);
        let fits = |candidate: &Candidate| unquoted(&candidate.value).to_lowercase().starts_with(&written);
        let wanted = self.found.into_iter().filter(fits).filter(|candidate| seen.insert(candidate.value.clone()));
        wanted
            .take(SUGGESTIONS_MAX)
            .map(|candidate| Suggestion {
                value: candidate.value,
                display_override: candidate.shown,
                description: Some(candidate.about).filter(|about| !about.is_empty()),
                span,
                append_whitespace: candidate.spaced,
                ..Suggestion::default()
            })
            .collect()
    }
}

/// The name as SQL needs it: in backticks if necessary.
fn quoted(name: &str) -> String {
    let plain = name.chars().enumerate().all(|(position, letter)| {
        letter == '_' || letter.is_ascii_alphabetic() || (position > 0 && letter.is_ascii_digit())
    });
    if plain && !name.is_empty() { name.to_owned() } else { format!("`{}`", name.replace('`', "``")) }
}

#[cfg(test)]
mod tests;
