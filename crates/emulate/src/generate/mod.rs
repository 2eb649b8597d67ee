//! Posts that nobody made: their records, with the dirt of the real ones, as many as are wanted.
//!
//! Every record is drawn from the seed and its own number, so that the same seed gives the same bytes on every machine and in
//! every version. The records carry what the real ones carry: placeholders, short counts, every kind of text, and, on request,
//! messages that come twice and messages that cannot be read. `examples/data` was made by this code.
//!
//! Deliberately absent: a crate for random numbers, whose streams may change between versions, and any input or output.

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

/// A repeated message follows its first copy at most this many records later.
const REPEAT_DISTANCE_MAX: u64 = 32;

/// What a message is to whoever reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A record that was not there before.
    Record,
    /// The record of an earlier message once more, its JSON perhaps in another style.
    Duplicate,
    /// What no reader can make a record of.
    Bad,
}

/// What the messages of a topic are to be.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    pub seed: u64,
    pub population: Population,
    /// Messages that come twice, from 0 to 100, for each hundred records.
    pub duplicates_percent: f64,
    /// Messages that cannot be read, from 0 to 100, for each hundred records.
    pub bad_percent: f64,
    pub bad_kinds: BadKinds,
}

/// The messages of one topic, one record after the other, without an end.
#[derive(Debug)]
pub struct Messages {
    topic: Topic,
    recipe: Recipe,
    random: Random,
    /// Of the next record.
    number: u64,
    bad: u64,
    message: Vec<u8>,
}

impl Messages {
    pub fn new(topic: Topic, recipe: Recipe) -> Self {
        let random = Random::new(&[recipe.seed, topic as u64]);
        Self { topic, recipe, random, number: 0, bad: 0, message: Vec::new() }
    }

    /// Gives the message of the next record, and behind it those that are due: a repeated one, a bad one. Whoever takes a message
    /// may draw from the randomness that made it.
    pub fn next<E>(&mut self, mut take: impl FnMut(Kind, &[u8], &mut Random) -> Result<(), E>) -> Result<(), E> {
        let Recipe { seed, population, duplicates_percent, bad_percent, bad_kinds } = self.recipe;
        let Self { topic, random, message, .. } = self;
        let number = self.number;
        self.number += 1;
        let record = Record::draw(*topic, seed, population, number);
        render(&record, Style::draw(random), message);
        take(Kind::Record, message, random)?;

        // Evenly spread, so that a small set too holds what was asked for.
        if is_due(number, duplicates_percent) {
            let first = number - random.below((number + 1).min(REPEAT_DISTANCE_MAX));
            let record = Record::draw(*topic, seed, population, first);
            render(&record, Style::draw(random), message);
            take(Kind::Duplicate, message, random)?;
        }
        if is_due(number, bad_percent) {
            // Its number lies past those of the good records: it is nobody's duplicate.
            let record = Record::draw(*topic, seed, population, population.records + self.bad);
            bad::render(record, bad_kinds, self.bad, random, message);
            self.bad += 1;
            take(Kind::Bad, message, random)?;
        }
        Ok(())
    }
}

/// Whether one more of what makes up `percent` of the records belongs after record `number`.
fn is_due(number: u64, percent: f64) -> bool {
    let count_after = |records: u64| (records as f64 * percent / 100.0).floor();
    count_after(number + 1) > count_after(number)
}
