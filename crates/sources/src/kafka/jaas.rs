//! `kafka.sasl.jaas.config`: the line with the credentials in the format of the Java client.
//!
//! `org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="p";`. Databricks writes
//! `kafkashaded.` before the class. Exactly one login module is allowed, as in the Java client.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use super::properties::refused;
use pinsql_base::error::Result;

const PROPERTY: &str = "sasl.jaas.config";

pub(super) struct Jaas {
    /// The name of the class, without its package.
    module: String,
    pub(super) options: BTreeMap<String, String>,
}

impl fmt::Debug for Jaas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jaas").field("module", &self.module).finish_non_exhaustive()
    }
}

impl Jaas {
    pub(super) fn check_module(&self, mechanism: &str) -> Result<()> {
        let needed = if mechanism == "PLAIN" { "PlainLoginModule" } else { "ScramLoginModule" };
        if self.module == needed {
            return Ok(());
        }
        Err(refused(PROPERTY, format!("the mechanism {mechanism} needs {needed}, not {}", self.module)))
    }
}

pub(super) fn parse(text: &str) -> Result<Jaas> {
    let mut words = words(text)?.into_iter();
    let class = words.next().unwrap_or_default();
    let module = class.rsplit('.').next().unwrap_or_default().to_owned();
    let flags = ["required", "requisite", "sufficient", "optional"];
    if !module.ends_with("LoginModule") || !words.next().is_some_and(|flag| flags.contains(&flag.as_str())) {
        return Err(refused(PROPERTY, "its format is `…LoginModule required name=\"value\" …;`"));
    }
    let mut options = BTreeMap::new();
    let mut words = words.peekable();
    while let Some(name) = words.next_if(|word| word != ";") {
        let (Some("="), Some(value)) = (words.next().as_deref(), words.next()) else {
            return Err(refused(PROPERTY, "an option in it does not have the form name=\"value\""));
        };
        options.insert(name, value);
    }
    if words.next().is_none() || words.next().is_some() {
        return Err(refused(PROPERTY, "it must have one login module and end with one semicolon"));
    }
    Ok(Jaas { module, options })
}

/// Splits the line into words, quoted strings, `=` and `;`, as Java's `StreamTokenizer` does.
fn words(text: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        match first {
            '=' | ';' => words.push(first.to_string()),
            '"' | '\'' => words.push(quoted(first, &mut rest)?),
            space if space.is_whitespace() => {}
            other => {
                let mut word = String::from(other);
                while let Some(next) = rest.next_if(|next| !next.is_whitespace() && !"=;\"'".contains(*next)) {
                    word.push(next);
                }
                words.push(word);
            }
        }
    }
    Ok(words)
}

fn quoted(quote: char, rest: &mut Peekable<Chars<'_>>) -> Result<String> {
    let mut text = String::new();
    while let Some(next) = rest.next() {
        match next {
            '\\' => text.extend(rest.next()),
            _ if next == quote => return Ok(text),
            _ => text.push(next),
        }
    }
    Err(refused(PROPERTY, "a quote in it is not closed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_and_options_are_parsed_as_in_java() {
        let jaas = parse(
            "kafkashaded.org.apache.kafka.common.security.scram.ScramLoginModule required\n \
             username=\"al ice\" password='p\\'=;\"w' ;",
        )
        .unwrap();
        assert_eq!(jaas.module, "ScramLoginModule");
        assert_eq!(jaas.options["username"], "al ice");
        assert_eq!(jaas.options["password"], "p'=;\"w");
        assert!(jaas.check_module("SCRAM-SHA-512").is_ok());
        let error = jaas.check_module("PLAIN").unwrap_err();
        assert!(error.message.contains("needs PlainLoginModule"), "{error}");
        assert_eq!(parse("x.IAMLoginModule required;").unwrap().options.len(), 0);
    }

    #[test]
    fn errors_do_not_show_the_password() {
        for text in [
            "",
            "PlainLoginModule",
            "x.PlainLoginModule required username=\"u\" password=\"hunter2",
            "x.PlainLoginModule required username password=\"hunter2\";",
            "x.PlainLoginModule required password=\"hunter2\"",
            "x.PlainLoginModule required; x.PlainLoginModule required password=\"hunter2\";",
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message.starts_with("the Kafka property kafka.sasl.jaas.config is refused"), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
