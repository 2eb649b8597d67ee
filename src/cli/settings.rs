//! The flags of all commands, and their resolution into a [`Config`].

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::output::LogFormat;
use super::rows::Format;
use crate::config::{Config, Layer, Param};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::units::duration;

// Not a doc comment: clap would use it as the description of the program, since the flags are flattened into it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings of all commands")]
pub(crate) struct Settings {
    /// The location of the tables: a folder or s3://bucket/prefix [default: warehouse]
    #[arg(long, global = true, env = "PINSQL_WAREHOUSE", value_name = "LOCATION")]
    warehouse: Option<String>,

    /// The schema of table names without a schema [default: default]
    #[arg(long, global = true, env = "PINSQL_SCHEMA", value_name = "NAME")]
    schema: Option<String>,

    /// Sets the value of the parameter marker :NAME; can be repeated
    #[arg(long = "param", global = true, value_name = "NAME=VALUE", value_parser = parse_param)]
    pub(crate) params: Vec<(String, String)>,

    /// Memory that statements may use before they spill to disk, such as 512MB [default: 3/4 of the free memory]
    #[arg(long, global = true, env = "PINSQL_MEMORY", value_name = "SIZE")]
    memory: Option<String>,

    /// Partitions that are processed in parallel [default: the number of cores]
    #[arg(long, global = true, env = "PINSQL_THREADS", value_name = "N")]
    threads: Option<usize>,

    /// Fails a statement that rejects more records than this number, or this share such as 0.5%
    #[arg(long, global = true, env = "PINSQL_MAX_REJECTS", value_name = "N|P%")]
    max_rejects: Option<String>,

    /// The format of rows on standard output [default: table]
    #[arg(long, global = true, env = "PINSQL_FORMAT", value_enum, ignore_case = true)]
    format: Option<Format>,

    /// Writes a report to this file, as JSON: the ledger of each table, or the counts of the emulator
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Continues a stream whose source no longer has unread records, and writes the gap to the ledger
    #[arg(long, global = true)]
    pub(crate) allow_gap: bool,

    /// The format of messages on standard error
    #[arg(long, global = true, env = "PINSQL_LOG_FORMAT", value_enum, default_value_t)]
    pub(crate) log_format: LogFormat,

    /// The settings file [default: pinsql.toml, if it exists]
    #[arg(long, global = true, env = "PINSQL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Settings {
    /// Resolves these flags, the settings file and the defaults.
    pub(crate) fn resolve(&self) -> Result<Config> {
        // An empty environment variable counts as not set. CI systems often set empty ones.
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

    /// The format of rows when the shell starts: from the flag, from `[shell]`, or from the setting for all commands.
    pub(crate) fn shell_format(&self, config: &Config) -> Result<Format> {
        match (self.format, &config.shell.mode) {
            (None, Some(name)) => format_of(name),
            _ => self.format(config),
        }
    }

    /// The format of rows: from the flag, or from the settings file.
    pub(crate) fn format(&self, config: &Config) -> Result<Format> {
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

/// The format with this name.
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
