//! The buffer of a STRING or BINARY column.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, StringArray, StringViewArray, make_view};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::error::ArrowError;

/// Longer values are in the bytes, shorter ones in the view itself.
const INLINE_BYTES_MAX: usize = 12;

/// Values in sequence. The decoder limits their total to less than 2 GiB, so an `i32` holds every offset, and a string view
/// array needs only one buffer.
#[derive(Debug)]
pub(super) struct TextBuffer {
    bytes: Vec<u8>,
    index: Index,
}

#[derive(Debug)]
enum Index {
    /// Strings: the start of each value, and the end of the last one.
    Text(Vec<i32>),
    /// The same for BINARY.
    Binary(Vec<i32>),
    /// Strings as Arrow views. `bytes` has only the values that are too long for their view, in order.
    Views(Vec<u128>),
}

impl TextBuffer {
    pub(super) fn with_offsets() -> Self {
        Self { bytes: Vec::new(), index: Index::Text(vec![0]) }
    }

    pub(super) fn with_views() -> Self {
        Self { bytes: Vec::new(), index: Index::Views(Vec::new()) }
    }

    pub(super) fn of_bytes() -> Self {
        Self { bytes: Vec::new(), index: Index::Binary(vec![0]) }
    }

    /// Pushes one value. It must be UTF-8, except in a BINARY buffer.
    #[inline]
    pub(super) fn push(&mut self, value: &[u8]) {
        self.debug_check(value);
        let start = self.bytes.len();
        match &mut self.index {
            Index::Text(offsets) | Index::Binary(offsets) => {
                self.bytes.extend_from_slice(value);
                offsets.push(self.bytes.len() as i32);
            }
            Index::Views(views) => {
                if value.len() > INLINE_BYTES_MAX {
                    self.bytes.extend_from_slice(value);
                }
                views.push(make_view(value, 0, start as u32));
            }
        }
    }

    /// Pushes the bytes that `write` appends. Pushes nothing if `write` fails.
    pub(super) fn push_with<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let start = self.bytes.len();
        if let Err(error) = write(&mut self.bytes) {
            self.bytes.truncate(start);
            return Err(error);
        }
        self.debug_check(&self.bytes[start..]);
        match &mut self.index {
            Index::Text(offsets) | Index::Binary(offsets) => offsets.push(self.bytes.len() as i32),
            Index::Views(views) => {
                views.push(make_view(&self.bytes[start..], 0, start as u32));
                if self.bytes.len() - start <= INLINE_BYTES_MAX {
                    self.bytes.truncate(start);
                }
            }
        }
        Ok(())
    }

    fn debug_check(&self, value: &[u8]) {
        debug_assert!(matches!(self.index, Index::Binary(_)) || std::str::from_utf8(value).is_ok());
    }

    /// Truncates the buffer to its first `len` values.
    pub(super) fn truncate(&mut self, len: usize) {
        match &mut self.index {
            Index::Text(offsets) | Index::Binary(offsets) => {
                offsets.truncate(len + 1);
                self.bytes.truncate(offsets.last().map_or(0, |end| *end as usize));
            }
            Index::Views(views) => {
                // The start of the first removed long value is the end of the bytes that remain.
                let long = views.iter().skip(len).map(|view| ViewParts::new(*view)).find(ViewParts::is_long);
                if let Some(view) = long {
                    self.bytes.truncate(view.offset);
                }
                views.truncate(len);
            }
        }
    }

    pub(super) fn get(&self, row: usize) -> Cow<'_, [u8]> {
        match &self.index {
            Index::Text(offsets) | Index::Binary(offsets) => {
                Cow::Borrowed(&self.bytes[offsets[row] as usize..offsets[row + 1] as usize])
            }
            Index::Views(views) => {
                let view = ViewParts::new(views[row]);
                if view.is_long() {
                    Cow::Borrowed(&self.bytes[view.offset..view.offset + view.length])
                } else {
                    Cow::Owned(views[row].to_le_bytes()[4..4 + view.length].to_vec())
                }
            }
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let index_bytes = match &self.index {
            Index::Text(offsets) | Index::Binary(offsets) => size_of_val(offsets.as_slice()),
            Index::Views(views) => size_of_val(views.as_slice()),
        };
        self.bytes.len() + index_bytes
    }

    fn len(&self) -> usize {
        match &self.index {
            Index::Text(offsets) | Index::Binary(offsets) => offsets.len() - 1,
            Index::Views(views) => views.len(),
        }
    }

    /// Returns the values as an array. The buffer is empty afterwards, with capacity for as many values.
    pub(super) fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        if nulls.as_ref().is_some_and(|nulls| nulls.len() != self.len()) {
            return Err(ArrowError::InvalidArgumentError("the NULLs are not as many as the values".to_owned()));
        }
        let bytes = Buffer::from_vec(take_with_room(&mut self.bytes));
        Ok(match &mut self.index {
            Index::Text(offsets) => {
                let offsets = finish_offsets(offsets);
                // SAFETY: the NULL buffer has one bit per value, and the offsets are the ends of the values. Every value is
                // UTF-8: `push` and `push_with` receive only whole strings of a record that `Cursor::new` validated as UTF-8,
                // cut at their quotes, with escapes replaced by whole characters.
                Arc::new(unsafe { StringArray::new_unchecked(offsets, bytes, nulls) })
            }
            Index::Binary(offsets) => Arc::new(BinaryArray::try_new(finish_offsets(offsets), bytes, nulls)?),
            Index::Views(views) => {
                let views = ScalarBuffer::from(take_with_room(views));
                // SAFETY: as above. Also, Arrow made each view from its value and its position in the one buffer, and
                // `truncate` removes no bytes that a remaining view points to.
                Arc::new(unsafe { StringViewArray::new_unchecked(views, [bytes], nulls) })
            }
        })
    }
}

/// The decoded fields of an Arrow view.
struct ViewParts {
    length: usize,
    /// The position of a long value in the buffer.
    offset: usize,
}

impl ViewParts {
    fn new(view: u128) -> Self {
        Self { length: view as u32 as usize, offset: (view >> 96) as usize }
    }

    fn is_long(&self) -> bool {
        self.length > INLINE_BYTES_MAX
    }
}

/// Takes the values out, and leaves capacity for as many, because the batches of one input are similar.
pub(super) fn take_with_room<T>(values: &mut Vec<T>) -> Vec<T> {
    let room = Vec::with_capacity(values.len());
    std::mem::replace(values, room)
}

/// Takes the offsets out, and leaves the first one.
pub(super) fn finish_offsets(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let taken = take_with_room(offsets);
    offsets.push(0);
    OffsetBuffer::new(ScalarBuffer::from(taken))
}
