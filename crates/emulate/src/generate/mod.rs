//! Generates posts that look like real ones, with the same defects, in any number.
//!
//! A record depends only on the seed and its number. So the same seed gives the same bytes on every machine and in every
//! version. The records have what real ones have: placeholders, abbreviated counts, all kinds of text, and, if requested,
//! duplicates and malformed messages. `examples/data` was generated with this code.
//!
//! There is deliberately no crate for random numbers, since its sequences may change between versions. There is no input or
//! output.

mod bad;
mod json;
mod random;
mod records;
mod text;
mod vocabulary;

#[cfg(test)]
mod tests;

pub use self::bad::BadKinds;
pub use self::random::Random;
pub use self::records::{Population, Topic};

use self::json::{Style, render};
use self::records::Record;

/// A duplicate comes at most this number of records after the original.
const REPEAT_DISTANCE_MAX: u64 = 32;

/// The kind of a message, from the reader's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A new record.
    Record,
    /// The record of an earlier message, possibly in another JSON style.
    Duplicate,
    /// A malformed message.
    Bad,
}

/// The settings of the messages of a topic.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// The seed of all random numbers.
    pub seed: u64,
    /// The numbers of different records and people.
    pub population: Population,
    /// Duplicates per hundred records, from 0 to 100.
    pub duplicates_percent: f64,
    /// Malformed messages per hundred records, from 0 to 100.
    pub bad_percent: f64,
    /// The kinds of malformed messages.
    pub bad_kinds: BadKinds,
}

/// The messages of one topic, in an endless sequence.
#[derive(Debug)]
pub struct Messages {
    topic: Topic,
    recipe: Recipe,
    random: Random,
    /// The number of the next record.
    number: u64,
    bad: u64,
    message: Vec<u8>,
}

impl Messages {
    /// Starts at the first record.
    pub fn new(topic: Topic, recipe: Recipe) -> Self {
        let random = Random::new(&[recipe.seed, topic as u64]);
        Self { topic, recipe, random, number: 0, bad: 0, message: Vec::new() }
    }

    /// Passes the message of the next record to `take`, and then a duplicate and a malformed message, if they are due. `take`
    /// may draw more random numbers from the same sequence. Returns the first error of `take`.
    pub fn next<E>(&mut self, mut take: impl FnMut(Kind, &[u8], &mut Random) -> Result<(), E>) -> Result<(), E> {
        let Recipe { seed, population, duplicates_percent, bad_percent, bad_kinds } = self.recipe;
        let Self { topic, random, message, .. } = self;
        let number = self.number;
        self.number += 1;
        let record = Record::draw(*topic, seed, population, number);
        render(&record, Style::draw(random), message);
        take(Kind::Record, message, random)?;

        // Spread evenly, so that a small set has the requested share too.
        if is_due(number, duplicates_percent) {
            let first = number - random.below((number + 1).min(REPEAT_DISTANCE_MAX));
            let record = Record::draw(*topic, seed, population, first);
            render(&record, Style::draw(random), message);
            take(Kind::Duplicate, message, random)?;
        }
        if is_due(number, bad_percent) {
            // Its number is beyond those of the good records, so it duplicates none.
            let record = Record::draw(*topic, seed, population, population.records + self.bad);
            bad::render(record, bad_kinds, self.bad, random, message);
            self.bad += 1;
            take(Kind::Bad, message, random)?;
        }
        Ok(())
    }
}

/// True if one more message of a kind with this share is due after record `number`.
fn is_due(number: u64, percent: f64) -> bool {
    let count_after = |records: u64| (records as f64 * percent / 100.0).floor();
    count_after(number + 1) > count_after(number)
}
