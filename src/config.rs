//! The settings of a run, resolved once: flags, then environment, then `pinsql.toml`, then defaults.
//!
//! Flags and environment are one [`Layer`], since clap merges the two. The file is another one. The rest of pinsql reads only
//! [`Config`]: no other module reads a flag or the environment. The exception is the credential chain of AWS (variables,
//! profiles, containers, instances), which the AWS SDK reads.

mod catalog;
mod shell;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

pub use self::catalog::{CatalogConfig, CatalogKind, CatalogLayer};
pub use self::shell::{ShellConfig, ShellLayer};
use pinsql_base::error::{Error, ErrorCode, Result, nearest};
pub use pinsql_base::settings::{DatabaseEnvironment, S3Config, Secret};

/// The settings file in the current folder. It is read if the command line names no other.
pub const DEFAULT_FILE: &str = "pinsql.toml";

/// One source of settings, and the shape of `pinsql.toml`. Each setting may be absent. [`Config`] describes them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    pub warehouse: Option<String>,
    pub schema: Option<String>,
    /// An amount with a unit, such as `4GB`.
    pub memory: Option<String>,
    pub threads: Option<usize>,
    /// A count or a share, such as `100` or `0.5%`.
    pub max_rejects: Option<String>,
    pub format: Option<String>,
    #[serde(default)]
    pub s3: S3Config,
    pub catalog: Option<CatalogLayer>,
    #[serde(default)]
    pub params: BTreeMap<String, Param>,
    #[serde(default)]
    pub shell: ShellLayer,
}

/// The value of a named parameter marker. Values from the command line are strings, as in the commands of Databricks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Param {
    Boolean(bool),
    Integer(i64),
    Float(f64),
    String(String),
}

/// The limit of rejected records. A statement that exceeds it fails.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum MaxRejects {
    #[default]
    Unlimited,
    Count(u64),
    /// A share of the records read, from 0 to 100.
    Percent(f64),
}

impl MaxRejects {
    /// True if `rejected` of `read` records exceed a share. A count is checked while the records are read.
    pub fn is_exceeded(self, rejected: u64, read: u64) -> bool {
        matches!(self, Self::Percent(percent) if rejected as f64 > read as f64 * percent / 100.0)
    }
}

/// The resolved settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// A folder or an `s3://bucket/prefix` URL.
    pub warehouse: String,
    /// The schema of table names without a schema, in lower case.
    pub schema: String,
    /// The limit of the memory of all operators together.
    pub memory_bytes: usize,
    /// The number of partitions that run in parallel.
    pub threads: usize,
    pub max_rejects: MaxRejects,
    /// The output format of rows, by its name on the command line. `None` depends on the terminal.
    pub format: Option<String>,
    pub s3: S3Config,
    /// The catalog service in which other engines find the tables.
    pub catalog: Option<CatalogConfig>,
    /// The values of the named parameter markers, by name.
    pub params: BTreeMap<String, Param>,
    /// The variables with the address and credentials of the database that `read_mysql` reads.
    pub database: DatabaseEnvironment,
    /// `PINSQL_API_KEY`: the key that `pinsql emulate` sends to an API. It has no flag, since it is a secret.
    pub api_key: Option<Secret>,
    pub shell: ShellConfig,
}

impl Config {
    /// Resolves the settings: `flags` win over the file, and the file wins over the defaults.
    ///
    /// `file` is the path on the command line, and must exist. If it is `None`, [`DEFAULT_FILE`] is read if it exists. Fails with
    /// [`ErrorCode::InvalidConfiguration`].
    pub fn resolve(flags: Layer, file: Option<&Path>) -> Result<Self> {
        let file = match file {
            Some(path) => read_layer(path)?,
            None if Path::new(DEFAULT_FILE).exists() => read_layer(Path::new(DEFAULT_FILE))?,
            None => Layer::default(),
        };
        let memory = flags.memory.or(file.memory);
        let max_rejects = flags.max_rejects.or(file.max_rejects);
        let mut params = file.params;
        params.extend(flags.params);
        let threads = match flags.threads.or(file.threads) {
            Some(0) => {
                return Err(Error::new(ErrorCode::InvalidConfiguration, "`threads` must be at least 1, got 0"));
            }
            Some(threads) => threads,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        Ok(Self {
            warehouse: flags.warehouse.or(file.warehouse).unwrap_or_else(|| "warehouse".to_owned()),
            schema: flags.schema.or(file.schema).unwrap_or_else(|| "default".to_owned()).to_lowercase(),
            memory_bytes: memory.as_deref().map_or_else(|| Ok(default_memory_bytes()), parse_memory_bytes)?,
            threads,
            max_rejects: max_rejects.as_deref().map_or(Ok(MaxRejects::Unlimited), parse_max_rejects)?,
            format: flags.format.or(file.format),
            s3: S3Config {
                endpoint: flags.s3.endpoint.or(file.s3.endpoint),
                region: flags.s3.region.or(file.s3.region),
                path_style: flags.s3.path_style.or(file.s3.path_style),
            },
            catalog: file.catalog.map(|layer| CatalogConfig::resolve(layer, variable)),
            params,
            database: DatabaseEnvironment::from_variables(variable),
            shell: ShellConfig::resolve(file.shell, variable),
            api_key: variable("PINSQL_API_KEY").filter(|key| !key.is_empty()).map(Secret::new),
        })
    }
}

/// An environment variable that has no flag, because it may hold a secret. `None` if it is unset or empty.
#[expect(clippy::disallowed_methods, reason = "this is the place where the environment is read")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn read_layer(path: &Path) -> Result<Layer> {
    let text = fs::read_to_string(path).map_err(|error| {
        Error::new(ErrorCode::InvalidConfiguration, format!("cannot read the settings in {}", path.display()))
            .caused_by(error)
    })?;
    toml::from_str(&text).map_err(|error| {
        let failure = Error::new(
            ErrorCode::InvalidConfiguration,
            format!("{} is not a settings file that pinsql understands", path.display()),
        );
        match unknown_key(error.message()) {
            Some(hint) => failure.with_hint(hint).caused_by(error),
            None => failure.caused_by(error),
        }
    })
}

/// Makes a hint of the message of serde, "unknown field `warehuose`, expected one of `warehouse`, …".
fn unknown_key(message: &str) -> Option<String> {
    let mut quoted = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    nearest(unknown, quoted).map(|known| format!("did you mean `{known}`?"))
}

/// Parses `512MB`, `1.5GB` or `2GiB`. As in most tools, `MB` is 1,000,000 bytes and `MiB` is 1,048,576. A number without a unit is an
/// error: `10` can be meant as bytes or as gigabytes.
fn parse_memory_bytes(text: &str) -> Result<usize> {
    const UNITS: [(&str, f64); 13] = [
        ("tib", 1_099_511_627_776.0),
        ("gib", 1_073_741_824.0),
        ("mib", 1_048_576.0),
        ("kib", 1_024.0),
        ("tb", 1e12),
        ("gb", 1e9),
        ("mb", 1e6),
        ("kb", 1e3),
        ("t", 1_099_511_627_776.0),
        ("g", 1_073_741_824.0),
        ("m", 1_048_576.0),
        ("k", 1_024.0),
        ("b", 1.0),
    ];
    let lower = text.trim().to_lowercase();
    let refuse = || {
        Error::new(ErrorCode::InvalidConfiguration, format!("`{text}` is not an amount of memory"))
            .with_hint("write a number and a unit: --memory 512MB, --memory 4GB")
    };
    let parsed = UNITS.iter().find_map(|(unit, bytes)| Some((lower.strip_suffix(unit)?.trim(), *bytes)));
    let (number, unit_bytes) = parsed.ok_or_else(refuse)?;
    let bytes = number.parse::<f64>().map_err(|_| refuse())? * unit_bytes;
    if !(bytes.is_finite() && bytes >= 1.0) {
        return Err(refuse());
    }
    Ok(bytes as usize)
}

fn parse_max_rejects(text: &str) -> Result<MaxRejects> {
    let refuse = || {
        Error::new(ErrorCode::InvalidConfiguration, format!("`{text}` is not a limit of rejected records"))
            .with_hint("write a count or a share: --max-rejects 100, --max-rejects 0.5%")
    };
    match text.trim().strip_suffix('%') {
        Some(share) => match share.trim().parse::<f64>() {
            Ok(0.0) => Ok(MaxRejects::Count(0)),
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(MaxRejects::Percent(percent)),
            _ => Err(refuse()),
        },
        None => text.trim().parse().map(MaxRejects::Count).map_err(|_| refuse()),
    }
}

/// Three quarters of the free memory of the machine, or of the limit of the container if that is smaller. So a run next to other
/// processes does not swap.
fn default_memory_bytes() -> usize {
    const FALLBACK_BYTES: usize = 4 << 30;
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? * 1024)
    });
    // The limit of the container (cgroup v2). Without a limit the file contains `max`, which does not parse.
    let container = fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    [machine, container].into_iter().flatten().min().map_or(FALLBACK_BYTES, |bytes: usize| bytes / 4 * 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_a_number_and_a_unit() {
        for (text, bytes) in
            [("512MB", 512_000_000), ("1.5 GB", 1_500_000_000), ("2GiB", 2 << 30), ("64m", 64 << 20), ("4096b", 4096)]
        {
            assert_eq!(parse_memory_bytes(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "MB", "-1GB", "lots", "0", "10", "4096", "inf", "NaNGB"] {
            assert!(parse_memory_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn max_rejects_is_a_count_or_a_share() {
        assert_eq!(parse_max_rejects("10").unwrap(), MaxRejects::Count(10));
        assert_eq!(parse_max_rejects("0.5%").unwrap(), MaxRejects::Percent(0.5));
        for text in ["", "%", "101%", "-1", "many"] {
            assert!(parse_max_rejects(text).is_err(), "{text}");
        }
    }

    #[test]
    fn flags_win_over_the_file_and_params_merge() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        fs::write(&file, "warehouse = 'w'\nschema = 'Bronze'\n[params]\nraw = 'a'\ndays = 3\n").unwrap();
        let flags = Layer {
            warehouse: Some("other".to_owned()),
            params: BTreeMap::from([("raw".to_owned(), Param::String("b".to_owned()))]),
            ..Layer::default()
        };
        let config = Config::resolve(flags, Some(&file)).unwrap();
        assert_eq!((config.warehouse.as_str(), config.schema.as_str()), ("other", "bronze"));
        assert_eq!(config.params["raw"], Param::String("b".to_owned()));
        assert_eq!(config.params["days"], Param::Integer(3));
    }

    #[test]
    fn an_unknown_setting_names_the_nearest() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        fs::write(&file, "warehuose = 'w'\n").unwrap();
        let error = Config::resolve(Layer::default(), Some(&file)).unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("did you mean `warehouse`?"));
    }
}
