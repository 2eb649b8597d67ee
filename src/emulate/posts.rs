//! Where the posts come from: a database's rows, or the generator.

use std::convert::Infallible;

use bytes::Bytes;

use super::generate::{BadKinds, Messages, Population, Recipe};
use super::{Item, PostedTopic};
use crate::error::Result;

/// Of the generator: indexes stay below 2^30, so that they fit an INT, and begin anew after so many posts.
const RECORDS: u64 = 1 << 28;
/// As many as the pipeline's own tables have rows.
const PEOPLE: u64 = 11_000;

/// Where posts come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Made up, each one new.
    Generated { duplicates_percent: f64, bad_percent: f64 },
}

/// Posts in the order that the seed gives them.
pub(super) enum Posts {
    Generated(Vec<Messages>),
}

impl Posts {
    /// `bad_kinds` are those that every receiver can be sent.
    pub(super) async fn open(source: &Source, seed: u64, topics: &[PostedTopic], bad_kinds: BadKinds) -> Result<Self> {
        match *source {
            Source::Generated { duplicates_percent, bad_percent } => {
                let population = Population { records: RECORDS, people: PEOPLE };
                let recipe = Recipe { seed, population, duplicates_percent, bad_percent, bad_kinds };
                Ok(Self::Generated(topics.iter().map(|posted| Messages::new(posted.topic, recipe)).collect()))
            }
        }
    }

    /// The records of the next post: one for each topic, and behind a generated one what is due.
    pub(super) async fn next(&mut self) -> Result<Vec<Item>> {
        match self {
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
