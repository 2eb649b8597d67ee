//! Reads one bundle, from bytes to batches.
//!
//! The loop takes the next record of the current chunk and decodes it. At the end of the chunk it takes the next chunk, at the
//! end of the object the next object. Batches span objects, so that a thousand objects with one record each make one batch. This
//! module handles bad records, according to the mode in the SQL.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};

use super::bundle::{Bundle, Piece};
use super::columns::Assembly;
use super::decoders::{CsvColumns, RecordDecoder, Splitter};
use super::kept::KeptRecords;
use super::location::Location;
use super::options::Mode;
use super::piece_reader::{Chunk, PieceReader, count_lines};
use super::read_ahead::{ReadAhead, Storage};
use super::record_scan::RecordFormat;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::rejects::{FIELD_UNREAD, Fault, NOTICE, Reject, Rejects};

/// The header of a CSV file that is cut is within these bytes.
const HEADER_BYTES_MAX: u64 = 1 << 20;
/// Advice for a record that starts an array but does not end it.
const ARRAY_ADVICE: &str = "an array over several lines needs multiLine => true";

/// What all bundles of a scan share.
#[derive(Debug)]
pub(super) struct Reading {
    pub storage: Storage,
    pub assembly: Assembly,
    pub memory: Arc<dyn MemoryPool>,
    pub mode: Mode,
    pub format: RecordFormat,
    pub csv_columns: CsvColumns,
    /// Fields without a column are reported.
    pub reports_unread: bool,
    pub batch_rows_max: usize,
    pub rejects: Rejects,
    pub counts: Counts,
}

#[derive(Debug, Clone)]
pub(super) struct Counts {
    pub read: Count,
    pub rejected: Count,
    pub dropped: Count,
    /// For counts whose names are known only when records are read.
    pub metrics: ExecutionPlanMetricsSet,
    pub partition: usize,
}

impl Counts {
    fn named(&self, name: String) -> Count {
        MetricBuilder::new(&self.metrics).counter(name, self.partition)
    }
}

/// More fields without a column are counted together.
const UNREAD_NAMES_MAX: usize = 100;

#[derive(Debug)]
pub(super) struct BundleReader {
    reading: Arc<Reading>,
    decoder: RecordDecoder,
    ahead: ReadAhead,
    pieces: Arc<[Piece]>,
    next_piece: usize,
    current: Option<OpenPiece>,
    /// The number of rows in the current batch for each piece, without the current piece.
    origins: Vec<(Piece, usize)>,
    origin_rows: usize,
    /// The total length of the records in the current batch.
    batch_bytes: usize,
    /// The records of the current batch, if they are kept.
    kept: Option<KeptRecords>,
    /// Reserved for the current batch.
    memory: MemoryReservation,
    /// The counts of fields without a column.
    unread: BTreeMap<String, Count>,
}

/// The reason why decoding stopped.
enum Step {
    BatchIsFull,
    Bad { line: u64, fault: Fault, raw: Bytes },
    ChunkIsUsed,
    PieceIsOver,
    NothingIsOpen,
}

#[derive(Debug)]
struct OpenPiece {
    bytes: PieceReader,
    splitter: Splitter,
    /// The first record is the header of a CSV file.
    header_is_next: bool,
    /// Why no record of the file can be read.
    mismatch: Option<String>,
    /// True after the last chunk.
    is_read: bool,
    /// The reason, if decompression failed in the middle.
    damage: Option<String>,
    /// The number of lines of the object before the piece. Counted at the first bad record.
    lines_before: Option<u64>,
}

impl BundleReader {
    pub(super) fn new(reading: Arc<Reading>, decoder: RecordDecoder, bundle: &Bundle) -> Self {
        let memory = MemoryConsumer::new("read_files").register(&reading.memory);
        let ahead = ReadAhead::new(reading.storage.clone(), bundle.0.clone(), memory.new_empty());
        let kept = reading.assembly.keeps_records().then(KeptRecords::default);
        Self {
            reading,
            decoder,
            ahead,
            pieces: bundle.0.clone(),
            next_piece: 0,
            current: None,
            origins: vec![],
            origin_rows: 0,
            batch_bytes: 0,
            kept,
            memory,
            unread: BTreeMap::new(),
        }
    }

    /// The next batch, or None after the last one.
    pub(super) async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match self.decode() {
                Step::BatchIsFull => return self.take_batch().map(Some),
                Step::Bad { line, fault, raw } => self.bad_record(line, fault, raw).await?,
                // Without memory for a larger batch, this one ends here.
                Step::ChunkIsUsed if !self.reserve_batch() => return self.take_batch().map(Some),
                Step::ChunkIsUsed => {
                    self.take_chunk().await?;
                    // Decoding uses this thread completely. Yield, so that running requests make progress.
                    tokio::task::yield_now().await;
                }
                Step::PieceIsOver => self.close().await?,
                Step::NothingIsOpen if self.open_next() => self.read_header_before().await?,
                Step::NothingIsOpen if self.decoder.rows() > 0 => return self.take_batch().map(Some),
                Step::NothingIsOpen => {
                    self.report_unread();
                    return Ok(None);
                }
            }
        }
    }

    /// Decodes until the caller has to act.
    fn decode(&mut self) -> Step {
        let Some(current) = &mut self.current else { return Step::NothingIsOpen };
        loop {
            let limits = &self.reading.storage.limits;
            if self.decoder.rows() >= self.reading.batch_rows_max || self.batch_bytes >= limits.batch_bytes_max {
                return Step::BatchIsFull;
            }
            let record = match current.splitter.next() {
                Some(record) => record,
                None if !current.is_read => return Step::ChunkIsUsed,
                // After a failed decompression, the rest is not a complete record, even if it looks like one.
                None if current.damage.is_some() => return Step::PieceIsOver,
                None => match current.splitter.finish() {
                    Some(record) => record,
                    None => return Step::PieceIsOver,
                },
            };
            if let (true, Ok(header)) = (current.header_is_next, &record) {
                current.header_is_next = false;
                set_header(&self.reading, &mut self.decoder, current, &header.bytes);
                continue;
            }
            if let Some(mismatch) = &current.mismatch {
                let raw = record.map(|record| record.bytes).unwrap_or_default();
                let fault = Fault::new(ErrorCode::InvalidRecord, mismatch);
                return Step::Bad { line: current.splitter.line(), fault, raw };
            }
            let (error, raw) = match record {
                Ok(record) => match self.decoder.decode(&record.bytes) {
                    Ok(rows) => {
                        self.batch_bytes += record.bytes.len();
                        if let Some(kept) = &mut self.kept {
                            kept.push(&record, current.bytes.first_byte(), rows);
                        }
                        continue;
                    }
                    Err(error) => (error, record.bytes),
                },
                Err(error) => (error, Bytes::new()),
            };
            let is_json_line = matches!(self.reading.format, RecordFormat::Json { multi_line: false, .. });
            let begins_array = is_json_line && error.is_cut_off() && raw.trim_ascii_start().starts_with(b"[");
            let mut fault = error.fault();
            if begins_array {
                fault.reason = format!("{error}; {ARRAY_ADVICE}");
            }
            return Step::Bad { line: current.splitter.line(), fault, raw };
        }
    }

    fn open_next(&mut self) -> bool {
        let Some(piece) = self.pieces.get(self.next_piece) else { return false };
        self.current = Some(OpenPiece {
            bytes: PieceReader::new(self.next_piece, piece.clone()),
            splitter: Splitter::new(&self.reading.format),
            header_is_next: false,
            mismatch: None,
            is_read: false,
            damage: None,
            lines_before: None,
        });
        self.next_piece += 1;
        self.start_file();
        true
    }

    /// Prepares the decoder for the records of the current piece.
    fn start_file(&mut self) {
        let source = self.source();
        let Some(current) = &mut self.current else { return };
        match (&mut self.decoder, &self.reading.format) {
            (RecordDecoder::Csv(_), RecordFormat::Csv { has_header: true, .. }) => current.header_is_next = true,
            (RecordDecoder::Csv(decoder), _) => {
                decoder.set_layout(self.reading.csv_columns.without_header(), &source);
            }
            (RecordDecoder::Json(decoder), _) => decoder.set_source(&source),
        }
    }

    /// The header of a CSV file is in its first piece. The other pieces fetch it.
    async fn read_header_before(&mut self) -> Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if !current.header_is_next || current.bytes.piece().range.start == 0 {
            return Ok(());
        }
        let object = current.bytes.piece().object.clone();
        let mut splitter = Splitter::new(&self.reading.format);
        let end = object.meta.size.min(HEADER_BYTES_MAX);
        splitter.push(self.reading.storage.fetch(&object.meta, Some(0..end)).await?);
        current.header_is_next = false;
        if let Some(Ok(header)) = splitter.next().or_else(|| splitter.finish()) {
            set_header(&self.reading, &mut self.decoder, current, &header.bytes);
        }
        Ok(())
    }

    /// Counts fields without a column in the metrics of the scan.
    fn report_unread(&mut self) {
        let unread = self.decoder.take_unread();
        if !self.reading.reports_unread {
            return;
        }
        for (name, count) in unread {
            let is_known = self.unread.contains_key(&name) || self.unread.len() < UNREAD_NAMES_MAX;
            let name = if is_known { name } else { "…".to_owned() };
            let metric = self.unread.entry(name);
            let counts = &self.reading.counts;
            metric.or_insert_with_key(|name| counts.named(format!("{FIELD_UNREAD}{name}"))).add(count as usize);
        }
    }

    async fn take_chunk(&mut self) -> Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        match current.bytes.next(&mut self.ahead, &self.reading.storage).await? {
            Chunk::Data(bytes) => current.splitter.push(bytes),
            Chunk::End => current.is_read = true,
            Chunk::Damaged(reason) => {
                current.is_read = true;
                current.damage = Some(reason);
            }
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        self.note_origin();
        if let Some(current) = &mut self.current
            && let Some(reason) = current.damage.take()
        {
            let rest = current.splitter.finish().and_then(Result::ok).map(|record| record.bytes).unwrap_or_default();
            let line = current.splitter.line();
            self.broken_content(line, reason, rest).await?;
        }
        if let Some(current) = self.current.take() {
            self.ahead.skip_rest(current.bytes.index());
        }
        Ok(())
    }

    /// Handles content that cannot be decompressed. The modes are Spark's, and Spark fails here in each of them.
    async fn broken_content(&mut self, line: u64, reason: String, rest: Bytes) -> Result<()> {
        if self.reading.mode == Mode::Reject {
            return self.bad_record(line, Fault::new(ErrorCode::InvalidRecord, reason), rest).await;
        }
        Err(self
            .failure(line, &reason)
            .await?
            .with_hint("without a mode, the records before the damage are kept, and the rest is rejected"))
    }

    async fn bad_record(&mut self, line: u64, fault: Fault, raw: Bytes) -> Result<()> {
        let counts = self.reading.counts.clone();
        counts.read.add(1);
        match self.reading.mode {
            Mode::Reject | Mode::Permissive => {
                let position = format!("line {}", self.line_of_object(line).await?);
                counts.rejected.add(1);
                let source = self.source();
                // Copied, because the record is a part of a block, and would keep the whole block in memory until it is written.
                let raw = Bytes::copy_from_slice(&raw);
                self.reading.rejects.push(Reject { source, position, fault, raw }).await
            }
            Mode::DropMalformed => {
                counts.dropped.add(1);
                Ok(())
            }
            Mode::FailFast => Err(self
                .failure(line, &fault.reason)
                .await?
                .with_hint("without mode => 'FAILFAST', such records are rejected and the others are read")),
        }
    }

    async fn failure(&mut self, line: u64, reason: &str) -> Result<Error> {
        let line = self.line_of_object(line).await?;
        Ok(Error::new(ErrorCode::InvalidRecord, format!("{}, line {line}: {reason}", self.source())))
    }

    fn source(&self) -> String {
        let current = self.current.as_ref();
        let location = current.map(|current| &current.bytes.piece().object.meta.location);
        location.map(|location| Location::display(&self.reading.storage.url, location)).unwrap_or_default()
    }

    /// Converts the number of a line in the piece to the number of the line in the object.
    async fn line_of_object(&mut self, line: u64) -> Result<u64> {
        let Some(current) = &mut self.current else { return Ok(line) };
        if let Some(before) = current.lines_before {
            return Ok(before + line);
        }
        let (piece, first_byte) = (current.bytes.piece().clone(), current.bytes.first_byte());
        let before = count_lines(&piece, first_byte, &self.reading.storage).await?;
        current.lines_before = Some(before);
        Ok(before + line)
    }

    fn note_origin(&mut self) {
        let rows = self.decoder.rows() - self.origin_rows;
        self.origin_rows = self.decoder.rows();
        if rows > 0
            && let Some(current) = &self.current
        {
            self.origins.push((current.bytes.piece().clone(), rows));
        }
    }

    /// Reserves memory for the current batch. Returns false if there is none, except for a batch without rows, which must
    /// continue.
    fn reserve_batch(&mut self) -> bool {
        let kept_bytes = self.kept.as_ref().map_or(0, KeptRecords::memory_bytes);
        self.memory.try_resize(self.decoder.memory_bytes() + kept_bytes).is_ok() || self.decoder.rows() == 0
    }

    fn take_batch(&mut self) -> Result<RecordBatch> {
        self.note_origin();
        self.report_unread();
        self.reading.counts.read.add(self.decoder.rows());
        let decoded = self.decoder.finish()?;
        let kept = self.kept.as_mut().map(std::mem::take).unwrap_or_default();
        let batch = self.reading.assembly.assemble(&decoded, &self.origins, &kept)?;
        self.origins.clear();
        self.origin_rows = 0;
        self.batch_bytes = 0;
        self.memory.free();
        Ok(batch)
    }
}

/// Assigns the fields of a file with this header to the columns.
fn set_header(reading: &Reading, decoder: &mut RecordDecoder, current: &mut OpenPiece, header: &[u8]) {
    let (RecordDecoder::Csv(decoder), RecordFormat::Csv { dialect, .. }) = (decoder, &reading.format) else { return };
    let source = Location::display(&reading.storage.url, &current.bytes.piece().object.meta.location);
    let found = reading.csv_columns.with_header(header, dialect);
    if let Some(notice) = found.notice {
        reading.counts.named(format!("{NOTICE}{source}: {notice}")).add(1);
    }
    current.mismatch = found.mismatch;
    decoder.set_layout(found.layout, &source);
}
