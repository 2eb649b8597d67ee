//! Generates the raw input of the pipeline: posts, places and users, in the layout of the Kafka Connect S3 sink.
//!
//! ```text
//! cargo run --example generate -- --records 100 --seed 100 --records-per-object 5 --out examples/data
//! ```
//!
//! This command made the data in `examples/data`. The same arguments always give the same bytes, because each record is
//! generated from the seed and its number. The records have the faults of real records (placeholders, short counts, all
//! kinds of text, repeated messages), and some cannot be read. Standard output shows the number of each kind.
//!
//! The records come from the library `pinsql-emulate`. `pinsql emulate --generate` posts the same records without end.
//! This program writes them as objects.

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
            // If standard error is closed too, the message cannot be shown anywhere.
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
