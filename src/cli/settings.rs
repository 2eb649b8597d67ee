//! The flags that every command takes, and their way into a [`Config`].

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::output::LogFormat;
use super::rows::Format;
use crate::config::{Config, Layer, Param};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::units::duration;

#[derive(Debug, Args)]
#[command(next_help_heading = "Settings of all commands")]
pub struct Settings {
    /// Where tables live: a folder or s3://bucket/prefix [default: warehouse]
    #[arg(long, global = true, env = "PINSQL_WAREHOUSE", value_name = "LOCATION")]
    warehouse: Option<String>,

    /// The schema of table names that give none [default: default]
    #[arg(long, global = true, env = "PINSQL_SCHEMA", value_name = "NAME")]
    schema: Option<String>,

    /// Gives the parameter marker :NAME in SQL a value; may be repeated
    #[arg(long = "param", global = true, value_name = "NAME=VALUE", value_parser = parse_param)]
    pub params: Vec<(String, String)>,

    /// Memory that statements may use before they spill to disk, such as 512MB [default: 3/4 of what is free]
    #[arg(long, global = true, env = "PINSQL_MEMORY", value_name = "SIZE")]
    memory: Option<String>,

    /// Partitions that run side by side [default: the number of cores]
    #[arg(long, global = true, env = "PINSQL_THREADS", value_name = "N")]
    threads: Option<usize>,

    /// Fails a statement that rejects more records than this, a count or a share such as 0.5%
    #[arg(long, global = true, env = "PINSQL_MAX_REJECTS", value_name = "N|P%")]
    max_rejects: Option<String>,

    /// The format of rows on standard output [default: table]
    #[arg(long, global = true, env = "PINSQL_FORMAT", value_enum, ignore_case = true)]
    format: Option<Format>,

    /// Writes what became of every record to this file, as JSON: the ledger of each table, or what was posted
    #[arg(long, global = true, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Goes on where a stream no longer has what was not yet read, and keeps the gap in the ledger
    #[arg(long, global = true)]
    pub allow_gap: bool,

    /// How messages on standard error are written
    #[arg(long, global = true, env = "PINSQL_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// The file of settings [default: pinsql.toml, if it is there]
    #[arg(long, global = true, env = "PINSQL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Settings {
    /// Resolves these flags against the file and the defaults.
    pub fn resolve(&self) -> Result<Config> {
        // A variable that is set to nothing, as CI systems like to, is not set.
        let given = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
        let flags = Layer {
            warehouse: given(&self.warehouse),
            schema: given(&self.schema),
            memory: given(&self.memory),
            threads: self.threads,
            max_rejects: given(&self.max_rejects),
            params: self.params.iter().map(|(name, value)| (name.clone(), Param::String(value.clone()))).collect(),
            ..Layer::default()
        };
        Config::resolve(flags, self.config.as_deref())
    }

    /// How the shell shows rows at its start: the flag's word, that of `[shell]`, or that of all commands.
    pub fn shell_format(&self, config: &Config) -> Result<Format> {
        match (self.format, &config.shell.mode) {
            (None, Some(name)) => format_of(name),
            _ => self.format(config),
        }
    }

    /// The format of rows: a flag's, or the one that the file of settings names.
    pub fn format(&self, config: &Config) -> Result<Format> {
        match (self.format, &config.format) {
            (Some(format), _) => Ok(format),
            (None, Some(name)) => format_of(name),
            (None, None) => Ok(Format::default()),
        }
    }
}

/// The name of a format of rows.
pub(super) fn format_name(format: Format) -> String {
    format.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// The names of all formats of rows.
pub(super) fn format_names() -> Vec<String> {
    Format::value_variants().iter().copied().map(format_name).collect()
}

/// The format that a setting names.
pub(super) fn format_of(name: &str) -> Result<Format> {
    Format::from_str(name, true).map_err(|_| {
        Error::new(ErrorCode::InvalidConfiguration, format!("`{name}` is not a format of rows"))
            .with_hint("table, csv, tsv, json, ndjson, markdown or line")
    })
}

fn parse_param(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().trim_start_matches(':').to_owned(), value.to_owned()))
        }
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| "write a time such as 200ms, 1s or 5m".to_owned())
}
