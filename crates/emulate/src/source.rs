//! The source of the posts: rows of a database, or the generator.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::generate::{BadKinds, Messages, Population, Random, Recipe, Topic};
use super::options::{Options, Source};
use super::post::{Item, PostedTopic};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::retry::{Backoff, Retry};
use pinsql_sources::mysql::{Database, DatabaseOptions};

/// The delays before a row is read again while the server is away.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
/// Number of different generated records. Their indexes stay below 2^30, so they fit an INT. After that they repeat.
const RECORDS: u64 = 1 << 28;
/// Number of different generated users: the row count of the pipeline's tables.
const PEOPLE: u64 = 11_000;

/// Separates the random numbers of the rows from those of the pace. The bytes are "rows".
const ROWS_MARK: u64 = 0x726f_7773;

/// The posts, in an order that depends only on the seed.
pub(super) enum Posts {
    Drawn(Box<Rows>),
    Generated(Vec<Messages>),
}

impl Posts {
    /// Connects to the database, if that is the source. `bad_kinds` are the malformed records that every receiver can accept.
    pub(super) async fn open(options: &Options, bad_kinds: BadKinds) -> Result<Self> {
        let (seed, topics) = (options.seed, &options.topics);
        match &options.source {
            Source::Database(database) => {
                let rows = Rows::open(database, seed, topics, options.delivery.give_up_after).await?;
                Ok(Self::Drawn(Box::new(rows)))
            }
            &Source::Generated { duplicates_percent, bad_percent } => {
                let population = Population { records: RECORDS, people: PEOPLE };
                let recipe = Recipe { seed, population, duplicates_percent, bad_percent, bad_kinds };
                Ok(Self::Generated(topics.iter().map(|posted| Messages::new(posted.topic, recipe)).collect()))
            }
        }
    }

    /// The records of the next post: one for each topic, each followed by its duplicates and malformed records, if any are due.
    pub(super) async fn next(&mut self) -> Result<Vec<Item>> {
        match self {
            Self::Drawn(rows) => rows.next().await,
            Self::Generated(topics) => {
                let mut items = Vec::with_capacity(topics.len());
                for (topic, messages) in topics.iter_mut().enumerate() {
                    let Ok(()) = messages.next::<Infallible>(|_, message, _| {
                        items.push(Item { topic, payload: Bytes::copy_from_slice(message) });
                        Ok(())
                    });
                }
                Ok(items)
            }
        }
    }
}

/// Random rows of a database. A post has the same row number in all tables, like the pipeline's scripts.
pub(super) struct Rows {
    database: Database,
    /// One table for each topic.
    tables: Vec<&'static str>,
    /// The row count of the smallest table.
    rows: u64,
    random: Random,
    give_up_after: Duration,
}

/// A row. It may share memory with a table that is cached.
struct Row(Arc<str>);

impl AsRef<[u8]> for Row {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Rows {
    async fn open(
        options: &DatabaseOptions,
        seed: u64,
        topics: &[PostedTopic],
        give_up_after: Duration,
    ) -> Result<Self> {
        let mut database = Database::connect(options).await?;
        let tables: Vec<&str> = topics.iter().map(|posted| table(posted.topic)).collect();
        let mut rows = u64::MAX;
        for table in &tables {
            let count = database.count(table).await?;
            if count == 0 {
                return Err(Error::new(
                    ErrorCode::InvalidConfiguration,
                    format!("the table {table} has no rows to draw from"),
                ));
            }
            rows = rows.min(count);
        }
        Ok(Self { database, tables, rows, random: Random::new(&[seed, ROWS_MARK]), give_up_after })
    }

    async fn next(&mut self) -> Result<Vec<Item>> {
        let number = self.random.below(self.rows);
        let mut items = Vec::with_capacity(self.tables.len());
        for topic in 0..self.tables.len() {
            let payload = Bytes::from_owner(Row(self.row(topic, number).await?));
            items.push(Item { topic, payload });
        }
        Ok(items)
    }

    /// Reads one row, with retries while the server is unavailable. A table that is too large for the cache costs a query per
    /// row.
    async fn row(&mut self, topic: usize, number: u64) -> Result<Arc<str>> {
        let table = self.tables[topic];
        let database = &mut self.database;
        let retry = Retry::new(BACKOFF).total_max(self.give_up_after);
        let read = async || database.rows(table, &[number]).await;
        let rows = retry.run(|error: &Error| error.kind().is_retryable(), read).await?;
        let missing =
            || Error::internal(format!("row {number} of {table} was requested, and the server did not return it"));
        rows.into_iter().next().ok_or_else(missing)
    }
}

/// The table of the pipeline that has the records of a topic.
fn table(topic: Topic) -> &'static str {
    match topic {
        Topic::Pin => "pinterest_data",
        Topic::Geo => "geolocation_data",
        Topic::User => "user_data",
    }
}
