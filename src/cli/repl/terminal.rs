//! How large the terminal is now: a result is fitted to it when it is shown, whatever it was at the start.

use terminal_size::terminal_size;

/// What is assumed of a terminal that does not say.
const UNKNOWN: Size = Size { columns: 80, rows: 24 };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub columns: usize,
    pub rows: usize,
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
