//! Texts with the lengths and characters of real posts.

use super::random::Random;
use super::vocabulary::{ADJECTIVES, CLOSINGS, ODDITIES, OPENINGS, PLACES, SUBJECTS, THINGS};

/// The source truncates a description at this length, and adds an ellipsis and a no-break space.
const DESCRIPTION_CHARACTERS_MAX: usize = 178;

pub(super) fn title(category: &str, random: &mut Random) -> String {
    let mut title = match random.below(4) {
        0 => format!("{} {} {}", random.between(5, 150), random.pick(ADJECTIVES), random.pick(THINGS)),
        1 => format!("{} {} for {}", random.pick(OPENINGS), random.pick(THINGS), random.pick(SUBJECTS)),
        2 => format!("{} {} and {}", random.pick(ADJECTIVES), random.pick(THINGS), random.pick(THINGS)),
        _ => format!("{} {} | {}", random.pick(OPENINGS), category.replace('-', " "), random.pick(PLACES)),
    };
    if random.chance(40.0) {
        title.push_str(" - ");
        title.push_str(random.pick(CLOSINGS));
    }
    sprinkle(title, 6.0, random)
}

pub(super) fn description(category: &str, random: &mut Random) -> String {
    let length = random.between(20, 260) as usize;
    let mut text = String::new();
    while text.len() < length {
        if !text.is_empty() {
            text.push(' ');
        }
        match random.below(3) {
            0 => text.push_str(&format!(
                "{} {} {} for {}.",
                random.pick(OPENINGS),
                random.pick(ADJECTIVES),
                random.pick(THINGS),
                random.pick(SUBJECTS)
            )),
            1 => text.push_str(&format!("{}, from {}.", random.pick(CLOSINGS), random.pick(PLACES))),
            _ => text.push_str(&format!("#{} #{}", category.replace('-', ""), random.pick(ADJECTIVES).to_lowercase())),
        }
    }
    let mut text = sprinkle(text, 12.0, random);
    if let Some((end, _)) = text.char_indices().nth(DESCRIPTION_CHARACTERS_MAX) {
        text.truncate(end);
        text.push_str("…\u{a0}");
    }
    text
}

/// Inserts one of the oddities of real text into a share of the texts, before a word.
fn sprinkle(text: String, percent: f64, random: &mut Random) -> String {
    if !random.chance(percent) {
        return text;
    }
    let oddity = random.pick(ODDITIES);
    match text.split_once(' ') {
        Some((first, rest)) => format!("{first} {oddity} {rest}"),
        None => format!("{text} {oddity}"),
    }
}

pub(super) fn tags(category: &str, random: &mut Random) -> String {
    let words = category.replace('-', " ");
    let tags = (0..random.between(5, 11)).map(|_| match random.below(3) {
        0 => format!("{} {}", random.pick(ADJECTIVES), random.pick(THINGS)),
        1 => format!("{} {words}", random.pick(ADJECTIVES)),
        _ => format!("{words} {}", random.pick(PLACES)),
    });
    tags.collect::<Vec<_>>().join(",")
}

pub(super) fn poster_name(random: &mut Random) -> String {
    let name = match random.below(3) {
        0 => format!("{} {}", random.pick(ADJECTIVES), random.pick(THINGS)),
        1 => format!("The {} of {}", random.pick(THINGS), random.pick(PLACES)),
        _ => format!("{} | {} {}", random.pick(PLACES), random.pick(THINGS), random.between(1, 99)),
    };
    sprinkle(name, 3.0, random)
}

pub(super) fn image_address(random: &mut Random) -> String {
    let hash = format!("{:016x}{:016x}", random.next_number(), random.next_number());
    format!("https://images.example.com/originals/{}/{}/{}/{hash}.jpg", &hash[0..2], &hash[2..4], &hash[4..6])
}

/// A random UUID, version 4.
pub(super) fn unique_id(random: &mut Random) -> String {
    let (high, low) = (random.next_number(), random.next_number());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        (low >> 48) & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

/// A time in the given years, such as `2020-08-28 03:52:47`, sometimes with a `T` instead of the space.
pub(super) fn time(random: &mut Random, first_year: u64, last_year: u64) -> String {
    let year = random.between(first_year, last_year);
    let month = random.between(1, 12);
    let day = random.between(1, 28);
    let separator = if random.chance(10.0) { 'T' } else { ' ' };
    let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
    format!("{year:04}-{month:02}-{day:02}{separator}{hour:02}:{minute:02}:{second:02}")
}
