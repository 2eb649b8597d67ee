//! The current size of the terminal. It is read for each result, since it can change.

use terminal_size::terminal_size;

/// The assumed size if the terminal does not report one.
const UNKNOWN: Size = Size { columns: 80, rows: 24 };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// The size of the terminal.
pub(super) fn size() -> Size {
    match terminal_size() {
        Some((columns, rows)) if columns.0 > 0 && rows.0 > 0 => {
            Size { columns: usize::from(columns.0), rows: usize::from(rows.0) }
        }
        _ => UNKNOWN,
    }
}
