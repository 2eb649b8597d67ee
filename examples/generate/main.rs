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
//! The records are made by the library (`pinsql emulate --generate` posts the same ones without end); this lays them down.

mod arguments;
mod layout;

use std::io::{self, Write};
use std::process::ExitCode;

use arguments::{Arguments, USAGE};
use layout::TopicWriter;
use pinsql_emulate::generate::{BadKinds, Kind, Messages, Population, Recipe, Topic};

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
    let records = arguments.records;
    let recipe = Recipe {
        seed: arguments.seed,
        population: Population { records, people: records },
        duplicates_percent: arguments.duplicates_percent,
        bad_percent: arguments.bad_percent,
        bad_kinds: BadKinds::All,
    };
    let mut all = Messages::new(topic, recipe);
    let (mut duplicates, mut bad) = (0, 0);
    for _ in 0..records {
        all.next(|kind, message, random| {
            match kind {
                Kind::Record => {}
                Kind::Duplicate => duplicates += 1,
                Kind::Bad => bad += 1,
            }
            writer.write(message, random)
        })?;
    }
    let objects = writer.finish()?;
    let messages = records + duplicates + bad;
    Ok(format!(
        "{name}: messages {messages} = records {records} + duplicates {duplicates} + bad {bad}, in {objects} objects"
    ))
}
