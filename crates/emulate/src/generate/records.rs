//! The three records of a post: the post itself, its place and time, and its author.
//!
//! They share `index` (called `ind` in two of them). The fields of a person depend only on the number of the person. So the
//! author of forty posts has the same name, age and follower count in all of them.

use super::random::Random;
use super::text;
use super::vocabulary::{CATEGORIES, COUNTRIES, FIRST_NAMES, LAST_NAMES};

/// The numbers of different posts and people.
#[derive(Debug, Clone, Copy)]
pub struct Population {
    /// The number of different indexes. After that they repeat.
    pub records: u64,
    /// The number of different people.
    pub people: u64,
}

/// A kind of record. The numbers are part of the seed, so they must not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// The post.
    Pin = 1,
    /// Its place and time.
    Geo = 2,
    /// Its author.
    User = 3,
}

impl Topic {
    /// All topics, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Pin, Self::Geo, Self::User];

    /// The name, without a prefix: `pin`, `geo` or `user`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Geo => "geo",
            Self::User => "user",
        }
    }
}

#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    Number(String),
}

#[derive(Debug)]
pub(super) struct Record {
    pub(super) topic: Topic,
    pub(super) fields: Vec<(&'static str, Value)>,
}

impl Record {
    pub(super) fn draw(topic: Topic, seed: u64, population: Population, number: u64) -> Self {
        let index = index(population.records, number);
        let person = person(seed, population.people, number);
        let random = &mut Random::new(&[seed, topic as u64, number]);
        let fields = match topic {
            Topic::Pin => pin(index, random, &mut Random::new(&[seed, topic as u64, u64::MAX, person])),
            Topic::Geo => geo(index, random, &mut Random::new(&[seed, topic as u64, u64::MAX, person])),
            Topic::User => user(index, &mut Random::new(&[seed, topic as u64, u64::MAX, person])),
        };
        Self { topic, fields }
    }
}

/// The index of a post: scattered over a range that is about five times as wide, without repetition.
fn index(records: u64, number: u64) -> u64 {
    let range = (records.max(16) * 4).next_power_of_two();
    // Steps of an odd size visit every number of a power of two.
    number.wrapping_mul(0x9e37_79b1).wrapping_add(range / 3) % range
}

/// A few people have many posts, and many people have one.
fn person(seed: u64, people: u64, number: u64) -> u64 {
    let mut random = Random::new(&[seed, 0, number]);
    ((people as f64) * random.fraction().powi(2)) as u64
}

fn text(value: impl Into<String>) -> Value {
    Value::Text(value.into())
}

fn number(value: impl ToString) -> Value {
    Value::Number(value.to_string())
}

/// The placeholders and their shares are those of real posts.
fn pin(index: u64, random: &mut Random, person: &mut Random) -> Vec<(&'static str, Value)> {
    let category = random.pick(CATEGORIES);
    let is_story = random.chance(7.0);
    let has_image = !random.chance(2.4);
    let (poster_name, follower_count) = match random.chance(1.0) {
        true => ("User Info Error".to_owned(), "User Info Error".to_owned()),
        false => (text::poster_name(person), follower_count(person)),
    };
    let title = match random.chance(1.0) {
        true => "No Title Data Available".to_owned(),
        false => text::title(category, random),
    };
    let description = match (is_story, random.below(200)) {
        (true, _) => "No description available Story format".to_owned(),
        (false, 0..3) => "No description available".to_owned(),
        (false, 3) => "Untitled".to_owned(),
        (false, _) => text::description(category, random),
    };
    let tag_list = match random.chance(1.5) {
        true => "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e".to_owned(),
        false => text::tags(category, random),
    };
    let kind = match (is_story, random.chance(3.0)) {
        (true, _) => "multi-video(story page format)",
        (false, true) => "video",
        (false, false) => "image",
    };
    let image_src = match has_image {
        true => text::image_address(random),
        false => "Image src error.".to_owned(),
    };
    vec![
        ("index", number(index)),
        ("unique_id", text(text::unique_id(random))),
        ("title", text(title)),
        ("description", text(description)),
        ("poster_name", text(poster_name)),
        ("follower_count", text(follower_count)),
        ("tag_list", text(tag_list)),
        ("is_image_or_video", text(kind)),
        ("image_src", text(image_src)),
        ("downloaded", number(u8::from(has_image))),
        ("save_location", text(format!("Local save in /data/{category}"))),
        ("category", text(category)),
    ]
}

fn follower_count(random: &mut Random) -> String {
    match random.below(1000) {
        0..180 => random.below(1000).to_string(),
        180..880 => format!("{}k", random.between(1, 999)),
        880..918 => format!("{}.{}k", random.between(1, 99), random.between(1, 9)),
        918..990 => format!("{}M", random.between(1, 15)),
        990..998 => format!("{}.{}M", random.between(1, 9), random.between(1, 9)),
        _ => "1.1B".to_owned(),
    }
}

fn geo(index: u64, random: &mut Random, person: &mut Random) -> Vec<(&'static str, Value)> {
    let degrees = |random: &mut Random, most: f64| number(format!("{:.4}", (random.fraction() * 2.0 - 1.0) * most));
    let latitude = degrees(person, 90.0);
    let longitude = degrees(person, 180.0);
    vec![
        ("ind", number(index)),
        ("timestamp", text(text::time(random, 2017, 2022))),
        ("latitude", latitude),
        ("longitude", longitude),
        ("country", text(person.pick(COUNTRIES))),
    ]
}

fn user(index: u64, person: &mut Random) -> Vec<(&'static str, Value)> {
    // Half of the people are under 25, as in the real data; a few are under 18 or over 50.
    let age = match person.below(100) {
        0..2 => person.between(13, 17),
        2..52 => person.between(18, 24),
        52..80 => person.between(25, 35),
        80..93 => person.between(36, 50),
        _ => person.between(51, 80),
    };
    vec![
        ("ind", number(index)),
        ("first_name", text(person.pick(FIRST_NAMES))),
        ("last_name", text(person.pick(LAST_NAMES))),
        ("age", number(age)),
        ("date_joined", text(text::time(person, 2015, 2017))),
    ]
}
