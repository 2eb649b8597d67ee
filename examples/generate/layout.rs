//! The layout of the Kafka Connect S3 sink: `topics/<topic>/partition=<n>/<topic>+<n>+<first offset>.json`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use pinsql_emulate::generate::Random;

#[derive(Debug)]
pub(crate) struct TopicWriter {
    partitions: Vec<Partition>,
    records_per_object: u64,
    objects: u64,
}

#[derive(Debug)]
struct Partition {
    /// The path of an object without its offset.
    stem: PathBuf,
    offset: u64,
    object: Option<BufWriter<File>>,
}

impl TopicWriter {
    /// Fails if the folder of the topic exists already, so that two sets of data are never mixed.
    pub(crate) fn create(out: &Path, topic: &str, partitions: u64, records_per_object: u64) -> io::Result<Self> {
        let folder = out.join("topics").join(topic);
        if folder.exists() {
            let message = format!("{} exists already: remove it first", folder.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        let partitions = (0..partitions)
            .map(|number| {
                let folder = folder.join(format!("partition={number}"));
                fs::create_dir_all(&folder)?;
                Ok(Partition { stem: folder.join(format!("{topic}+{number}+")), offset: 0, object: None })
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { partitions, records_per_object, objects: 0 })
    }

    /// Appends the message to a random partition, like a producer without keys.
    pub(crate) fn write(&mut self, message: &[u8], random: &mut Random) -> io::Result<()> {
        let chosen = random.below(self.partitions.len() as u64) as usize;
        let partition = &mut self.partitions[chosen];
        if partition.offset.is_multiple_of(self.records_per_object) {
            partition.close()?;
            self.objects += 1;
        }
        let object = match &mut partition.object {
            Some(object) => object,
            none => none.insert(BufWriter::new(File::create(object_path(&partition.stem, partition.offset))?)),
        };
        object.write_all(message)?;
        object.write_all(b"\n")?;
        partition.offset += 1;
        Ok(())
    }

    /// Closes the last objects, and returns the number of objects.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        for partition in &mut self.partitions {
            partition.close()?;
        }
        Ok(self.objects)
    }
}

impl Partition {
    fn close(&mut self) -> io::Result<()> {
        match self.object.take() {
            Some(mut object) => object.flush(),
            None => Ok(()),
        }
    }
}

fn object_path(stem: &Path, offset: u64) -> PathBuf {
    let mut path = stem.as_os_str().to_owned();
    path.push(format!("{offset:010}.json"));
    path.into()
}
