//! The arguments of the command line.

use std::path::PathBuf;
use std::str::FromStr;

use pinsql_emulate::generate::Topic;

pub(crate) const USAGE: &str = "\
usage: generate --out FOLDER [options]
  --records N              distinct readable records a topic (default 100)
  --seed N                 other seeds give other records (default 100)
  --topics A,B             of pin, geo and user (default all three)
  --prefix NAME            topics are NAME.pin and so on (default example)
  --partitions N           partitions a topic (default 3)
  --records-per-object N   as the connector's flush.size (default 1)
  --duplicates PERCENT     messages that come twice (default 5)
  --bad PERCENT            messages that cannot be read (default 5)";

#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) records: u64,
    pub(crate) seed: u64,
    pub(crate) out: PathBuf,
    pub(crate) topics: Vec<Topic>,
    pub(crate) prefix: String,
    pub(crate) partitions: u64,
    pub(crate) records_per_object: u64,
    pub(crate) duplicates_percent: f64,
    pub(crate) bad_percent: f64,
}

impl Arguments {
    pub(crate) fn parse(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self {
            records: 100,
            seed: 100,
            out: PathBuf::new(),
            topics: Topic::ALL.to_vec(),
            prefix: "example".to_owned(),
            partitions: 3,
            records_per_object: 1,
            duplicates_percent: 5.0,
            bad_percent: 5.0,
        };
        while let Some(flag) = given.next() {
            let value = given.next().ok_or_else(|| format!("`{flag}` needs a value"))?;
            match flag.as_str() {
                "--records" => arguments.records = number(&flag, &value)?,
                "--seed" => arguments.seed = number(&flag, &value)?,
                "--out" => arguments.out = PathBuf::from(value),
                "--topics" => arguments.topics = topics(&value)?,
                "--prefix" => arguments.prefix = value,
                "--partitions" => arguments.partitions = positive(&flag, &value)?,
                "--records-per-object" => arguments.records_per_object = positive(&flag, &value)?,
                "--duplicates" => arguments.duplicates_percent = percent(&flag, &value)?,
                "--bad" => arguments.bad_percent = percent(&flag, &value)?,
                _ => return Err(format!("there is no option `{flag}`")),
            }
        }
        if arguments.out.as_os_str().is_empty() {
            return Err("--out FOLDER is missing".to_owned());
        }
        Ok(arguments)
    }
}

fn number<T: FromStr>(flag: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("`{flag}` needs a number, not `{value}`"))
}

fn positive(flag: &str, value: &str) -> Result<u64, String> {
    match number(flag, value)? {
        0 => Err(format!("`{flag}` needs at least 1")),
        positive => Ok(positive),
    }
}

fn percent(flag: &str, value: &str) -> Result<f64, String> {
    let percent = number(flag, value)?;
    if !(0.0..=100.0).contains(&percent) {
        return Err(format!("`{flag}` needs a percentage from 0 to 100, not `{value}`"));
    }
    Ok(percent)
}

fn topics(value: &str) -> Result<Vec<Topic>, String> {
    let topic = |name: &str| Topic::ALL.into_iter().find(|topic| topic.name() == name);
    value.split(',').map(|name| topic(name).ok_or_else(|| format!("there is no topic `{name}`"))).collect()
}
