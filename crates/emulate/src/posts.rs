//! Where the posts come from: a database's rows, or the generator.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::backoff::Backoff;
use super::generate::{BadKinds, Messages, Population, Random, Recipe, Topic};
use super::{Item, Options, PostedTopic};
use pinsql_base::error::{Error, Result};
use pinsql_sources::mysql::{Database, DatabaseOptions};

/// Of the generator: indexes stay below 2^30, so that they fit an INT, and begin anew after so many posts.
const RECORDS: u64 = 1 << 28;
/// As many as the pipeline's own tables have rows.
const PEOPLE: u64 = 11_000;

/// So that the rows and the waits are not drawn from the same numbers.
const ROWS_MARK: u64 = 0x726f_7773;

/// Where posts come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Rows of the pipeline's tables, the same may come again.
    Database(DatabaseOptions),
    /// Made up, each one new.
    Generated { duplicates_percent: f64, bad_percent: f64 },
}

/// Posts in the order that the seed gives them.
pub(super) enum Posts {
    Drawn(Box<Rows>),
    Generated(Vec<Messages>),
}

impl Posts {
    /// `bad_kinds` are those that every receiver can be sent.
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

    /// The records of the next post: one for each topic, and behind a generated one what is due.
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

/// Rows of a database, one number for all tables, as the pipeline's scripts draw them.
pub(super) struct Rows {
    database: Database,
    /// One for each topic.
    tables: Vec<&'static str>,
    /// Every table has so many rows, or more.
    rows: u64,
    random: Random,
    give_up_after: Duration,
}

/// A row that is shared with the table that is held in memory.
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
                return Err(Error::config(format!("the table {table} has no rows to draw from")));
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

    /// A table that is too large to be held is asked for each row; a server that is away may come back.
    async fn row(&mut self, topic: usize, number: u64) -> Result<Arc<str>> {
        let table = self.tables[topic];
        let patience_ends = Instant::now() + self.give_up_after;
        let mut backoff = Backoff::default();
        loop {
            let error = match self.database.rows(table, &[number]).await {
                Ok(rows) => {
                    let missing = || Error::internal(format!("row {number} of {table} was asked for and not given"));
                    return rows.into_iter().next().ok_or_else(missing);
                }
                Err(error) => error,
            };
            let wait = backoff.next(None);
            if !error.kind().is_retryable() || Instant::now() + wait >= patience_ends {
                return Err(error);
            }
            sleep(wait).await;
        }
    }
}

/// Where the pipeline keeps the records of a topic.
fn table(topic: Topic) -> &'static str {
    match topic {
        Topic::Pin => "pinterest_data",
        Topic::Geo => "geolocation_data",
        Topic::User => "user_data",
    }
}
