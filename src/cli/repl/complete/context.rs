//! The syntactic context of the cursor.
//!
//! One pass over the words before the cursor keeps a state for each open parenthesis: its clause, its function, and whether a
//! relation is expected next.

use super::scope::unquoted;
use crate::statement::TABLE_FUNCTIONS;
use crate::statement::lexeme::{Lexeme, LexemeKind, Unfinished, lexemes};

/// The place of the cursor, and the part of the text that a completion replaces.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub(crate) place: Place,
    /// The written part of the word.
    pub(crate) prefix: String,
    /// The start of the word in bytes. It ends at the cursor.
    pub(crate) start: usize,
    /// The word before it, in upper case.
    pub(crate) before: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The name of a command, with its dot or backslash.
    CommandName,
    /// An argument of a command.
    CommandArgument {
        command: String,
    },
    /// The first word of a statement.
    Statement,
    /// A word that continues the words before it, as after CREATE.
    Continuation,
    /// A table, a view or a table function.
    Relation,
    Schema,
    /// After a relation: an alias, or the next clause.
    AfterRelation,
    /// A member of the names before a dot.
    Member {
        qualifier: Vec<String>,
    },
    /// An argument of a table function.
    Argument {
        function: String,
    },
    Expression,
    /// `:name`
    Parameter,
    /// Inside a string that is a path. The prefix is the text after the quote.
    Path,
    /// Inside the string of an option with these values.
    Value(&'static [&'static str]),
    /// A comment, or a string that is data.
    Nothing,
}

/// Functions and keywords whose string argument is a path.
const PATH_FUNCTIONS: [&str; 1] = ["READ_FILES"];
const PATH_WORDS: [&str; 4] = ["SOURCE", "LOCATION", "LIBRARY", "INTO"];
const PATH_OPTIONS: [&str; 4] = ["PATH", "CREDENTIALS", "SSLCA", "CHECKPOINTLOCATION"];

/// Options of table functions with few values.
const OPTION_VALUES: [(&str, &[&str]); 2] =
    [("FORMAT", &["json", "csv", "parquet"]), ("MODE", &["PERMISSIVE", "DROPMALFORMED", "FAILFAST"])];

/// The lexemes of the statement around byte `cursor` of `text`.
pub(super) fn statement_around(text: &str, cursor: usize) -> Vec<Lexeme> {
    let all = lexemes(text);
    let is_end = |lexeme: &&Lexeme| lexeme.kind == LexemeKind::Semicolon;
    let start = all.iter().filter(is_end).filter(|end| end.end <= cursor).map(|end| end.end).next_back().unwrap_or(0);
    let end = all.iter().filter(is_end).find(|end| end.start >= cursor).map_or(usize::MAX, |end| end.start);
    all.into_iter().filter(|lexeme| lexeme.start >= start && lexeme.end <= end).collect()
}

/// The context of byte `cursor` of `text`.
pub(super) fn context(text: &str, cursor: usize) -> Context {
    let written = text.get(..cursor).unwrap_or(text);
    if let Some(context) = command(written) {
        return context;
    }
    // Only the text before the cursor decides.
    let statement = statement_around(written, cursor);
    let mut words: Vec<Lexeme> = statement.iter().filter(|lexeme| !lexeme.is_blank()).copied().collect();
    let nothing = |place| Context { place, prefix: String::new(), start: cursor, before: String::new() };
    if let Some(last) = statement.last() {
        match last.kind {
            LexemeKind::Unfinished(Unfinished::Comment) => return nothing(Place::Nothing),
            LexemeKind::Comment if last.text(written).starts_with("--") && !last.text(written).ends_with('\n') => {
                return nothing(Place::Nothing);
            }
            LexemeKind::Unfinished(Unfinished::Text) => return in_text(written, last, &words),
            LexemeKind::Text if last.end == cursor => return nothing(Place::Nothing),
            _ => {}
        }
    }
    let word = words.last().copied().filter(|last| last.end == cursor && is_word(last));
    if word.is_some() {
        words.pop();
    }
    let start = word.map_or(cursor, |word| word.start);
    let prefix = word.map_or("", |word| word.text(written)).to_owned();
    let before = words.last().map_or(String::new(), |last| last.text(written).to_uppercase());
    let place = match word.map(|word| word.kind) {
        Some(LexemeKind::Parameter) => Place::Parameter,
        Some(LexemeKind::Number) => Place::Nothing,
        _ if before == ":" && words.last().is_some_and(|last| last.end == start) => Place::Parameter,
        _ => place(written, &words),
    };
    Context { place, prefix, start, before }
}

fn is_word(lexeme: &Lexeme) -> bool {
    matches!(
        lexeme.kind,
        LexemeKind::Word
            | LexemeKind::QuotedName
            | LexemeKind::Number
            | LexemeKind::Parameter
            | LexemeKind::Unfinished(Unfinished::QuotedName)
    )
}

fn command(written: &str) -> Option<Context> {
    let line_start = written.rfind('\n').map_or(0, |end| end + 1);
    let line = &written[line_start..];
    if !line.starts_with(['.', '\\']) || !written[..line_start].trim().is_empty() {
        return None;
    }
    let context = |place, prefix: &str, before: &str| Context {
        place,
        prefix: prefix.to_owned(),
        start: written.len() - prefix.len(),
        before: before.to_owned(),
    };
    Some(match line.split_once(char::is_whitespace) {
        None => context(Place::CommandName, line, ""),
        Some((command, rest)) => {
            let prefix = rest.rsplit(char::is_whitespace).next().unwrap_or_default();
            context(Place::CommandArgument { command: command.to_owned() }, prefix, command)
        }
    })
}

/// The context inside a string: a path if one is expected, or if the text looks like one.
fn in_text(written: &str, text: &Lexeme, words: &[Lexeme]) -> Context {
    let inside = text.text(written);
    let start = text.start + inside.find(['\'', '"']).map_or(0, |quote| quote + 1);
    let prefix = written.get(start..).unwrap_or_default();
    let before = |back: usize| {
        let position = words.len().checked_sub(1 + back)?;
        Some(words.get(position)?.text(written).to_uppercase())
    };
    let is_wanted = match before(1).as_deref() {
        Some("(") => before(2).is_some_and(|function| PATH_FUNCTIONS.contains(&function.as_str())),
        Some("=>") => before(2).is_some_and(|option| PATH_OPTIONS.contains(&option.as_str())),
        Some(word) => PATH_WORDS.contains(&word),
        None => false,
    };
    let looks_like_one = prefix.contains("://") || prefix.starts_with(['/', '.']);
    let option = before(2).filter(|_| before(1).as_deref() == Some("=>"));
    let values = option.and_then(|option| OPTION_VALUES.iter().find(|(name, _)| *name == option));
    let place = match values {
        Some((_, values)) => Place::Value(values),
        None if is_wanted || looks_like_one => Place::Path,
        None => Place::Nothing,
    };
    Context { place, prefix: prefix.to_owned(), start, before: before(1).unwrap_or_default() }
}

/// The state of one level of parentheses.
#[derive(Debug, Clone, Default)]
struct Level {
    /// The function with these arguments, in lower case.
    function: Option<String>,
    wants: Wants,
    in_from: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Wants {
    #[default]
    Statement,
    Expression,
    Relation,
    Schema,
    AfterRelation,
    Continuation,
}

/// The place after `words`.
fn place(written: &str, words: &[Lexeme]) -> Place {
    if let Some(qualifier) = qualifier(written, words) {
        return Place::Member { qualifier };
    }
    let mut levels = vec![Level::default()];
    for (position, word) in words.iter().enumerate() {
        let text = word.text(written);
        let previous = position.checked_sub(1).and_then(|position| words.get(position)).map(|word| word.text(written));
        match text {
            "(" => {
                let top = levels.last().cloned().unwrap_or_default();
                let opened = opened(&top, previous);
                levels.push(opened);
            }
            ")" => {
                if levels.len() > 1 {
                    levels.pop();
                }
                if let Some(top) = levels.last_mut().filter(|top| top.wants == Wants::Relation) {
                    top.wants = Wants::AfterRelation;
                }
            }
            _ => {
                if let Some(top) = levels.last_mut() {
                    top.follow(text, word.kind, previous);
                }
            }
        }
    }
    let top = levels.pop().unwrap_or_default();
    match (top.function, top.wants) {
        (Some(function), Wants::Expression) if TABLE_FUNCTIONS.contains(&function.as_str()) => {
            let after_arrow = words.last().is_some_and(|last| last.text(written) == "=>");
            if after_arrow { Place::Expression } else { Place::Argument { function } }
        }
        (_, Wants::Statement) => Place::Statement,
        (_, Wants::Expression) => Place::Expression,
        (_, Wants::Relation) => Place::Relation,
        (_, Wants::Schema) => Place::Schema,
        (_, Wants::AfterRelation) => Place::AfterRelation,
        (_, Wants::Continuation) => Place::Continuation,
    }
}

/// The state after an opening parenthesis.
fn opened(around: &Level, previous: Option<&str>) -> Level {
    let previous = previous.unwrap_or_default().to_uppercase();
    let is_call = previous.chars().next().is_some_and(|first| first.is_alphabetic() || first == '`')
        && !["IN", "FROM", "JOIN", "AS", "AND", "OR", "NOT", "ON", "USING", "WHERE", "VALUES", "EXISTS", "OVER"]
            .contains(&previous.as_str());
    match (is_call, around.wants) {
        (true, _) => Level { function: Some(previous.to_lowercase()), wants: Wants::Expression, in_from: false },
        // A query, or a join in parentheses.
        (false, Wants::Relation) => Level { wants: Wants::Relation, in_from: true, function: None },
        (false, _) if previous == "AS" => Level::default(),
        (false, _) => Level { wants: Wants::Expression, ..Level::default() },
    }
}

impl Level {
    fn follow(&mut self, text: &str, kind: LexemeKind, previous: Option<&str>) {
        let is_name = matches!(kind, LexemeKind::Word | LexemeKind::QuotedName);
        match text.to_uppercase().as_str() {
            "FROM" | "JOIN" => (self.wants, self.in_from) = (Wants::Relation, true),
            "INTO" | "UPDATE" | "TABLE" | "OPTIMIZE" | "VACUUM" | "RESTORE" | "DESCRIBE" | "DESC" | "HISTORY"
            | "DETAIL" | "EXTENDED" | "VIEW" | "TBLPROPERTIES" | "OVERWRITE"
                if self.wants != Wants::Expression =>
            {
                self.wants = Wants::Relation;
            }
            "USE" | "SCHEMA" | "DATABASE" if self.wants != Wants::Expression => self.wants = Wants::Schema,
            "CREATE" | "DROP" | "SHOW" | "ALTER" | "INSERT" | "MERGE" | "COPY" | "DECLARE"
                if self.wants == Wants::Statement =>
            {
                self.wants = Wants::Continuation;
            }
            "IN" if self.wants == Wants::Continuation => {
                let of_schema = previous.is_some_and(|previous| !previous.eq_ignore_ascii_case("COLUMNS"));
                self.wants = if of_schema { Wants::Schema } else { Wants::Relation };
            }
            "EXPLAIN" | "ANALYZE" if matches!(self.wants, Wants::Statement) => {}
            "USING" => (self.wants, self.in_from) = (Wants::Relation, false),
            "SELECT" | "WHERE" | "ON" | "HAVING" | "QUALIFY" | "BY" | "SET" | "VALUES" | "LIMIT" | "WHEN"
            | "RETURN" => {
                (self.wants, self.in_from) = (Wants::Expression, false);
            }
            "WITH" => self.wants = Wants::AfterRelation,
            "STREAM" | "LATERAL" | "IF" | "NOT" | "EXISTS" if self.wants == Wants::Relation => {}
            "," if self.in_from => self.wants = Wants::Relation,
            "UNION" | "EXCEPT" | "INTERSECT" | ";" => *self = Self::default(),
            "AS" if self.wants == Wants::AfterRelation && !self.in_from => self.wants = Wants::Statement,
            "." => {}
            _ if is_name && matches!(self.wants, Wants::Relation | Wants::Schema) => self.wants = Wants::AfterRelation,
            _ => {}
        }
    }
}

/// The names before the dot at the end of `words`.
fn qualifier(written: &str, words: &[Lexeme]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = words;
    while let [before @ .., name, dot] = rest {
        if dot.text(written) != "." || !is_word(name) || name.end != dot.start {
            break;
        }
        names.push(unquoted(name.text(written)));
        rest = before;
    }
    names.reverse();
    (!names.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `|` is the cursor.
    fn check(marked: &str, place: Place, prefix: &str) {
        let cursor = marked.find('|').unwrap();
        let found = context(&marked.replace('|', ""), cursor);
        assert_eq!((found.place, found.prefix.as_str()), (place, prefix), "{marked}");
    }

    #[test]
    fn the_clause_decides() {
        check("|", Place::Statement, "");
        check("SEL|", Place::Statement, "SEL");
        check("SELECT 1; DES|", Place::Statement, "DES");
        check("SELECT ti|", Place::Expression, "ti");
        check("SELECT a, | FROM t", Place::Expression, "");
        check("SELECT * FROM |", Place::Relation, "");
        check("SELECT * FROM pi|", Place::Relation, "pi");
        check("SELECT * FROM t JOIN |", Place::Relation, "");
        check("SELECT * FROM t, |", Place::Relation, "");
        check("SELECT * FROM t |", Place::AfterRelation, "");
        check("SELECT * FROM t WHERE a = |", Place::Expression, "");
        check("SELECT * FROM t GROUP BY |", Place::Expression, "");
        check("INSERT INTO |", Place::Relation, "");
        check("DESCRIBE |", Place::Relation, "");
        check("DROP TABLE IF EXISTS |", Place::Relation, "");
        check("USE |", Place::Schema, "");
        check("SHOW TABLES IN |", Place::Schema, "");
        check("SHOW COLUMNS IN |", Place::Relation, "");
        check("CREATE |", Place::Continuation, "");
        check("SHOW T|", Place::Continuation, "T");
        check("EXPLAIN |", Place::Statement, "");
        check("SELECT upper(|", Place::Expression, "");
        check("SELECT * FROM (SELECT | FROM t)", Place::Expression, "");
        check("SELECT * FROM (|", Place::Relation, "");
        check("SELECT a FROM t WHERE b IN (SELECT c FROM |", Place::Relation, "");
        check("SELECT a FROM t UNION ALL |", Place::Statement, "");
    }

    #[test]
    fn names_and_dots() {
        let member =
            |names: &[&str]| Place::Member { qualifier: names.iter().map(|name| (*name).to_owned()).collect() };
        check("SELECT p.|", member(&["p"]), "");
        check("SELECT p.ti| FROM pins p", member(&["p"]), "ti");
        check("SELECT * FROM silver.|", member(&["silver"]), "");
        check("SELECT `a b`.c.|", member(&["a b", "c"]), "");
        check("SELECT :da|", Place::Parameter, ":da");
        check("SELECT `a|", Place::Expression, "`a");
    }

    #[test]
    fn arguments_of_table_functions() {
        let argument = || Place::Argument { function: "read_files".to_owned() };
        check("SELECT * FROM read_files(|", argument(), "");
        check("SELECT * FROM read_files('a', for|", argument(), "for");
        check("SELECT * FROM read_files('a', format => |", Place::Expression, "");
        check("SELECT * FROM read_files('a/|", Place::Path, "a/");
        check("SELECT * FROM read_files(path => 's3://b/|", Place::Path, "s3://b/");
        check("SELECT * FROM read_files('a', format => 'j|", Place::Value(&["json", "csv", "parquet"]), "j");
        check("SELECT * FROM read_files('a', sep => ';|", Place::Nothing, ";");
        check("SELECT * FROM read_files('a') |", Place::AfterRelation, "");
        check("SOURCE 'sql/|", Place::Path, "sql/");
        check("SELECT 'a |", Place::Nothing, "a ");
        check("SELECT '/etc/|", Place::Path, "/etc/");
        check("SELECT 1 -- FROM |", Place::Nothing, "");
        check("SELECT 'a'|", Place::Nothing, "");
    }

    #[test]
    fn commands() {
        check(".mo|", Place::CommandName, ".mo");
        check(".mode cs|", Place::CommandArgument { command: ".mode".to_owned() }, "cs");
        check("\\d |", Place::CommandArgument { command: "\\d".to_owned() }, "");
        check("SELECT 1\n.5|", Place::Nothing, ".5");
    }
}
