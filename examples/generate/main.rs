//! Generates the pipeline's raw input: posts, their places and their users, as the Kafka Connect S3 sink lays them out.
//!
//! ```text
//! cargo run --example generate -- --records 100 --seed 100 --records-per-object 5 --out examples/data
//! ```
//!
//! made the data in `examples/data`. The same arguments always give the same bytes: every record is drawn from the seed
//! and its own number. The records carry the dirt of the real ones (placeholders, short counts, every kind of text,
//! repeated messages) and some cannot be read at all. Standard output says how many of each there are.
//!
//! The standard library is all it stands on, so that it also builds alone: `rustc -O examples/generate/main.rs`.

mod arguments;
mod bad;
mod json;
mod layout;
mod random;
mod records;
mod text;
mod vocabulary;

use std::io::{self, Write};
use std::process::ExitCode;

use arguments::{Arguments, USAGE};
use layout::TopicWriter;
use random::Random;
use records::{Record, Topic};

/// A repeated message follows its first copy at most this many records later.
const REPEAT_DISTANCE_MAX: u64 = 32;

fn main() -> ExitCode {
    match Arguments::parse(std::env::args().skip(1)).and_then(|arguments| generate(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Nothing is left to tell when standard error is closed, too.
            let _ = writeln!(io::stderr(), "error: {message}\n\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn generate(arguments: &Arguments) -> Result<(), String> {
    for topic in &arguments.topics {
        let summary = generate_topic(arguments, *topic).map_err(|error| format!("cannot write the data: {error}"))?;
        writeln!(io::stdout(), "{summary}").map_err(|error| format!("cannot write to standard output: {error}"))?;
    }
    Ok(())
}

fn generate_topic(arguments: &Arguments, topic: Topic) -> io::Result<String> {
    let name = format!("{}.{}", arguments.prefix, topic.name());
    let mut writer = TopicWriter::create(&arguments.out, &name, arguments.partitions, arguments.records_per_object)?;
    let mut random = Random::new(&[arguments.seed, topic as u64]);
    let mut message = Vec::new();
    let (mut duplicates, mut bad) = (0, 0);
    for number in 0..arguments.records {
        let record = Record::draw(topic, arguments, number);
        json::render(&record, json::Style::draw(&mut random), &mut message);
        writer.write(&message, &mut random)?;

        // Evenly spread, so that a small set too holds what was asked for.
        if is_due(number, arguments.duplicates_percent) {
            let first = number - random.below((number + 1).min(REPEAT_DISTANCE_MAX));
            let record = Record::draw(topic, arguments, first);
            json::render(&record, json::Style::draw(&mut random), &mut message);
            writer.write(&message, &mut random)?;
            duplicates += 1;
        }
        if is_due(number, arguments.bad_percent) {
            // Its number lies past those of the good records: it is nobody's duplicate.
            let record = Record::draw(topic, arguments, arguments.records + bad);
            bad::render(record, bad, &mut random, &mut message);
            writer.write(&message, &mut random)?;
            bad += 1;
        }
    }
    let objects = writer.finish()?;
    let records = arguments.records;
    let messages = records + duplicates + bad;
    Ok(format!(
        "{name}: messages {messages} = records {records} + duplicates {duplicates} + bad {bad}, in {objects} objects"
    ))
}

/// Whether one more of what makes up `percent` of the records belongs after record `number`.
fn is_due(number: u64, percent: f64) -> bool {
    let count_after = |records: u64| (records as f64 * percent / 100.0).floor();
    count_after(number + 1) > count_after(number)
}
