//! The options of `read_mysql`.
//!
//! The names are those of Databricks' MySQL reader if it has one (`host`, `port`, `database`, `user`, `dbtable`; Spark's `query`,
//! <https://docs.databricks.com/en/connect/external-systems/mysql.html>). Others are those of Connector/J (`sslMode`,
//! `zeroDateTimeBehavior`, `tinyInt1isBit`, …). A password is refused, because many people can read SQL.

use std::collections::BTreeMap;
use std::path::PathBuf;

use datafusion::scalar::ScalarValue;

use super::request::Relation;
use super::settings::{DatabaseOptions, Settings, SslMode, password_refused, port};
use super::types::TypeOptions;
use pinsql_base::error::{Error, ErrorCode, Result, nearest};
use pinsql_base::settings::DatabaseEnvironment;
use pinsql_base::units::duration;

/// The supported options.
const TAKEN: [&str; 15] = [
    "table",
    "dbtable",
    "query",
    "credentials",
    "url",
    "host",
    "port",
    "database",
    "user",
    "sslMode",
    "sslCa",
    "connectTimeout",
    "socketTimeout",
    "zeroDateTimeBehavior",
    "tinyInt1isBit",
];

/// The names of the supported options, for completion and hints.
pub fn option_names() -> &'static [&'static str] {
    &TAKEN
}

const STREAMED_HINT: &str = "leave it out: rows are streamed over one connection, and memory is bounded";
const PUSHED_HINT: &str =
    "leave it out: conditions, columns and LIMIT are always pushed down if the result is the same";

/// Options of Databricks or Spark that are refused, each with a hint.
const REFUSED: [(&str, &str); 14] = [
    ("driver", "leave it out: the driver is built in"),
    ("fetchsize", STREAMED_HINT),
    ("numPartitions", STREAMED_HINT),
    ("partitionColumn", STREAMED_HINT),
    ("lowerBound", STREAMED_HINT),
    ("upperBound", STREAMED_HINT),
    ("pushDownPredicate", PUSHED_HINT),
    ("pushDownLimit", PUSHED_HINT),
    ("pushDownAggregate", PUSHED_HINT),
    ("customSchema", "write CAST in the query"),
    ("sessionInitStatement", "use query => 'SELECT …' with all that the query needs"),
    ("prepareQuery", "use query => 'SELECT …' with all that the query needs"),
    ("queryTimeout", "socketTimeout => '5m' limits the wait for an answer of the server"),
    ("ssl", "sslMode => 'REQUIRED' or 'VERIFY_IDENTITY'"),
];

/// The parsed options of one call.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub database: DatabaseOptions,
    pub relation: Relation,
    pub types: TypeOptions,
}

impl Options {
    pub(super) fn parse(given: &BTreeMap<String, ScalarValue>, environment: &DatabaseEnvironment) -> Result<Self> {
        let given = Given::of(given)?;
        let url = given.text("url")?;
        url.as_deref().map(Settings::from_url).transpose()?;
        let settings = Settings {
            host: given.text("host")?,
            port: given.text("port")?.as_deref().map(port).transpose()?,
            user: given.text("user")?,
            password: None,
            database: given.text("database")?,
            ssl_mode: given.text("sslMode")?.as_deref().map(SslMode::from_name).transpose()?,
            ssl_ca: given.text("sslCa")?.map(PathBuf::from),
        };
        let credentials = given.text("credentials")?.map(PathBuf::from);
        let relation = given.relation()?;
        let mut database =
            DatabaseOptions::resolve_over(settings, credentials.as_deref(), url.as_deref(), environment)?;
        let timeout =
            |name| given.parsed(name, "a duration such as '30s'", |text| duration(text).filter(|d| !d.is_zero()));
        if let Some(timeout) = timeout("connectTimeout")? {
            database.connect_timeout = timeout;
        }
        if let Some(timeout) = timeout("socketTimeout")? {
            database.read_timeout = timeout;
        }
        Ok(Self { database, relation, types: given.types()? })
    }

    /// The name of the source in the ledger: `mysql://host:3306/database/table`.
    pub(super) fn source_name(&self) -> String {
        match &self.relation {
            Relation::Table { database: Some(_), .. } => format!("mysql://{}/{}", self.database.server, self.relation),
            relation => format!("{}/{relation}", self.database),
        }
    }
}

/// The given options by their names in [`TAKEN`].
struct Given<'a>(BTreeMap<&'static str, &'a ScalarValue>);

impl<'a> Given<'a> {
    fn of(given: &'a BTreeMap<String, ScalarValue>) -> Result<Self> {
        // Before any other error, which would show the line with the secret.
        if given.keys().any(|name| name.eq_ignore_ascii_case("password")) {
            return Err(password_refused());
        }
        let mut known = BTreeMap::new();
        for (written, value) in given {
            let taken = TAKEN.iter().find(|name| name.eq_ignore_ascii_case(written));
            let Some(name) = taken else { return Err(unknown(written)) };
            if known.insert(*name, value).is_some() {
                return Err(Error::new(ErrorCode::InvalidOption, format!("the option {name} is given twice")));
            }
        }
        Ok(Self(known))
    }

    fn wrong(&self, name: &str, needed: &str) -> Error {
        let value = self.0.get(name).map(ToString::to_string).unwrap_or_default();
        Error::new(ErrorCode::InvalidOption, format!("the option {name} needs {needed}, not {value}"))
    }

    /// A value as text. As on Databricks, a number may be given as a number or as a text.
    fn text(&self, name: &'static str) -> Result<Option<String>> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let text = match value.try_as_str().flatten() {
            Some(text) => text.trim().to_owned(),
            None if value.is_null() => String::new(),
            None => value.to_string(),
        };
        match text.is_empty() {
            true => Err(self.wrong(name, "a value")),
            false => Ok(Some(text)),
        }
    }

    fn parsed<T>(&self, name: &'static str, needed: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>> {
        self.text(name)?.map(|text| parse(&text).ok_or_else(|| self.wrong(name, needed))).transpose()
    }

    fn relation(&self) -> Result<Relation> {
        let table = match (self.text("table")?, self.text("dbtable")?) {
            (Some(_), Some(_)) => {
                return Err(Error::new(
                    ErrorCode::InvalidOption,
                    "table and dbtable are the same option: give only one",
                ));
            }
            (table, other) => table.or(other),
        };
        match (table, self.text("query")?) {
            (Some(table), None) => Relation::table(&table).ok_or_else(|| {
                Error::new(ErrorCode::InvalidOption, format!("`{table}` is not the name of a table"))
                    .with_hint("write table, database.table, or a name with other letters in back-ticks")
            }),
            (None, Some(query)) => Ok(Relation::query(&query)),
            (Some(_), Some(_)) => Err(Error::new(ErrorCode::InvalidOption, "table and query exclude each other")
                .with_hint("leave one of the two out")),
            (None, None) => Err(Error::new(ErrorCode::MissingOption, "read_mysql needs a table")
                .with_hint("read_mysql(table => 'pinterest_data', credentials => 'db_creds.yaml')")),
        }
    }

    fn types(&self) -> Result<TypeOptions> {
        let zero_dates = "CONVERT_TO_NULL or EXCEPTION";
        let zero_dates =
            self.parsed("zeroDateTimeBehavior", zero_dates, |text| match text.to_ascii_uppercase().as_str() {
                "CONVERT_TO_NULL" => Some(true),
                "EXCEPTION" => Some(false),
                _ => None,
            })?;
        let tiny = self.parsed("tinyInt1isBit", "true or false", |text| text.to_ascii_lowercase().parse().ok())?;
        Ok(TypeOptions { tiny_is_flag: tiny.unwrap_or(true), zero_dates_are_null: zero_dates.unwrap_or(true) })
    }
}

fn unknown(written: &str) -> Error {
    if let Some((name, hint)) = REFUSED.iter().find(|(name, _)| name.eq_ignore_ascii_case(written)) {
        return Error::new(ErrorCode::UnsupportedFeature, format!("read_mysql does not support the option {name}"))
            .with_hint(*hint);
    }
    let error = Error::new(ErrorCode::UnknownOption, format!("read_mysql has no option `{written}`"));
    match nearest(written, TAKEN) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint(format!("the options are {}", TAKEN.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parse(given: &[(&str, ScalarValue)]) -> Result<Options> {
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Options::parse(&given, &DatabaseEnvironment::default())
    }

    fn with(name: &str, value: impl Into<ScalarValue>) -> Result<Options> {
        parse(&[("url", "mysql://me@db/pins".into()), ("table", "pin_data".into()), (name, value.into())])
    }

    fn check_error(options: Result<Options>, message: &str, hint: &str) {
        let error = options.unwrap_err();
        assert_eq!(error.message, message);
        assert!(error.hint.unwrap_or_default().contains(hint), "{message}");
    }

    #[test]
    fn names_are_in_any_case_and_values_may_be_text() {
        let options = parse(&[
            ("DBTABLE", "other.pin_data".into()),
            ("Host", "db".into()),
            ("port", 3307i32.into()),
            ("user", "me".into()),
            ("SSLMODE", "required".into()),
            ("tinyint1isbit", false.into()),
            ("zerodatetimebehavior", "exception".into()),
            ("socketTimeout", "1h".into()),
        ])
        .unwrap();
        assert_eq!(options.source_name(), "mysql://db:3307/other.pin_data");
        assert_eq!(options.types, TypeOptions { tiny_is_flag: false, zero_dates_are_null: false });
        assert_eq!(options.database.read_timeout, Duration::from_secs(3600));
        assert_eq!(options.database.ssl_mode, SslMode::Required);
        assert_eq!(with("database", "pins").unwrap().source_name(), "mysql://db:3306/pins/pin_data");
    }

    #[test]
    fn every_wrong_option_is_an_error() {
        check_error(with("tabel", "t"), "read_mysql has no option `tabel`", "did you mean table?");
        check_error(with("fetchSize", "10"), "read_mysql does not support the option fetchsize", "streamed over one");
        check_error(with("port", "x"), "`x` is not a port", "3306");
        check_error(with("query", "SELECT 1"), "table and query exclude each other", "leave one");
        check_error(with("dbtable", "t"), "table and dbtable are the same option: give only one", "");
        check_error(with("socketTimeout", 5i32), "the option socketTimeout needs a duration such as '30s', not 5", "");
        check_error(with("host", ""), "the option host needs a value, not ", "");
        check_error(with("tinyInt1isBit", "no"), "the option tinyInt1isBit needs true or false, not no", "");
        check_error(
            with("zeroDateTimeBehavior", "ROUND"),
            "the option zeroDateTimeBehavior needs CONVERT_TO_NULL or EXCEPTION, not ROUND",
            "",
        );
        check_error(parse(&[]), "read_mysql needs a table", "db_creds.yaml");
        check_error(parse(&[("table", "a.b.c".into())]), "`a.b.c` is not the name of a table", "back-ticks");
        let secret = with("password", "s3cret");
        check_error(secret, "a password must not be in SQL", "db_creds.yaml");
        assert!(!format!("{:?}", with("Password", "s3cret").unwrap_err()).contains("s3cret"));
    }
}
