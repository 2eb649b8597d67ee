//! The buffer of a STRING or BINARY column.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, StringArray, StringViewArray, make_view};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::error::ArrowError;

/// Longer values stand in the bytes; shorter ones in the view itself.
const INLINE_BYTES_MAX: usize = 12;

/// Values one behind the other. All of them together stay under 2 GiB, which the decoder sees to, so an `i32` holds
/// any offset and a string view array needs only one buffer.
#[derive(Debug)]
pub(super) struct TextBuffer {
    bytes: Vec<u8>,
    index: Index,
}

#[derive(Debug)]
enum Index {
    /// Where each value begins, and at the end where the last one ends.
    Offsets(Vec<i32>),
    /// Arrow's views; `bytes` has only the values that are too long for their view, in order.
    Views(Vec<u128>),
}

impl TextBuffer {
    pub(super) fn with_offsets() -> Self {
        Self { bytes: Vec::new(), index: Index::Offsets(vec![0]) }
    }

    pub(super) fn with_views() -> Self {
        Self { bytes: Vec::new(), index: Index::Views(Vec::new()) }
    }

    #[inline]
    pub(super) fn push(&mut self, value: &[u8]) {
        let start = self.bytes.len();
        match &mut self.index {
            Index::Offsets(offsets) => {
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

    /// Pushes what `write` appends to the bytes, or nothing if it fails.
    pub(super) fn push_with<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let start = self.bytes.len();
        if let Err(error) = write(&mut self.bytes) {
            self.bytes.truncate(start);
            return Err(error);
        }
        match &mut self.index {
            Index::Offsets(offsets) => offsets.push(self.bytes.len() as i32),
            Index::Views(views) => {
                views.push(make_view(&self.bytes[start..], 0, start as u32));
                if self.bytes.len() - start <= INLINE_BYTES_MAX {
                    self.bytes.truncate(start);
                }
            }
        }
        Ok(())
    }

    /// Cuts the buffer back to its first `len` values.
    pub(super) fn truncate(&mut self, len: usize) {
        match &mut self.index {
            Index::Offsets(offsets) => {
                offsets.truncate(len + 1);
                self.bytes.truncate(offsets.last().map_or(0, |end| *end as usize));
            }
            Index::Views(views) => {
                // The first long value that goes says where the bytes of those that stay end.
                if let Some(view) = views.iter().skip(len).find(|view| **view as u32 as usize > INLINE_BYTES_MAX) {
                    self.bytes.truncate((view >> 96) as usize);
                }
                views.truncate(len);
            }
        }
    }

    pub(super) fn get(&self, row: usize) -> Cow<'_, [u8]> {
        match &self.index {
            Index::Offsets(offsets) => Cow::Borrowed(&self.bytes[offsets[row] as usize..offsets[row + 1] as usize]),
            Index::Views(views) => {
                let view = views[row];
                let length = view as u32 as usize;
                if length <= INLINE_BYTES_MAX {
                    Cow::Owned(view.to_le_bytes()[4..4 + length].to_vec())
                } else {
                    let start = (view >> 96) as usize;
                    Cow::Borrowed(&self.bytes[start..start + length])
                }
            }
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.len()
            + match &self.index {
                Index::Offsets(offsets) => size_of_val(offsets.as_slice()),
                Index::Views(views) => size_of_val(views.as_slice()),
            }
    }

    /// The values as an array; the buffer is empty afterwards, with room for as many again.
    pub(super) fn finish(&mut self, is_binary: bool, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        let bytes = Buffer::from_vec(take_with_room(&mut self.bytes));
        Ok(match &mut self.index {
            Index::Offsets(offsets) => {
                let taken = take_with_room(offsets);
                offsets.push(0);
                let offsets = OffsetBuffer::new(ScalarBuffer::from(taken));
                if is_binary {
                    Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?)
                } else {
                    Arc::new(StringArray::try_new(offsets, bytes, nulls)?)
                }
            }
            Index::Views(views) => {
                Arc::new(StringViewArray::try_new(ScalarBuffer::from(take_with_room(views)), vec![bytes], nulls)?)
            }
        })
    }
}

/// Takes the values out, and leaves room for as many: batches of one input are much alike.
pub(super) fn take_with_room<T>(values: &mut Vec<T>) -> Vec<T> {
    let room = Vec::with_capacity(values.len());
    std::mem::replace(values, room)
}
