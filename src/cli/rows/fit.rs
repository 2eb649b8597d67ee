//! The widths of the columns of a table that is wider than the terminal.
//!
//! First, long text is cut down to a minimum width. Then columns that have only NULLs are left out. Then columns in the middle are
//! left out, since the first ones and the last one are the most useful. A number is cut only if nothing else helps, since a cut
//! number is wrong.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The minimum width of long text, as long as columns can be left out instead.
const TEXT_WIDTH_MIN: usize = 12;
/// A number, a date or a time is cut only if it is longer than this.
const WHOLE_WIDTH_MAX: usize = 30;
/// The border and the two spaces around each column.
const FRAME: usize = 3;
const CUT: char = '…';

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Column {
    /// The width of its widest value.
    pub(crate) width: usize,
    /// True if it has text, which may be cut.
    pub(crate) is_text: bool,
    /// True if all of its values are NULL.
    pub(crate) is_empty: bool,
}

/// The shown columns as pairs of index and width, and the position where columns are left out.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct Fitted {
    pub(crate) columns: Vec<(usize, usize)>,
    pub(crate) gap: Option<usize>,
}

/// Fits `columns` into `width`.
pub(in crate::cli) fn fit(columns: &[Column], width: usize) -> Fitted {
    let all: Vec<usize> = (0..columns.len()).collect();
    if let Some(widths) = widths(columns, &all, width) {
        return Fitted { columns: all.into_iter().zip(widths).collect(), gap: None };
    }
    // The gap itself is a column, one character wide.
    let room = width.saturating_sub(1 + FRAME);
    let useful: Vec<usize> = all.iter().copied().filter(|position| !columns[*position].is_empty).collect();
    let useful = if useful.is_empty() { all } else { useful };
    for shown in (1..=useful.len().min(columns.len().saturating_sub(1))).rev() {
        let right = if shown > 1 { (shown / 3).max(1) } else { 0 };
        let kept = [&useful[..shown - right], &useful[useful.len() - right..]].concat();
        if let Some(widths) = widths(columns, &kept, room) {
            let gap = kept.iter().enumerate().position(|(place, position)| *position != place).unwrap_or(shown);
            return Fitted { columns: kept.into_iter().zip(widths).collect(), gap: Some(gap) };
        }
    }
    let room = if columns.len() > 1 { room } else { width };
    let narrow = room.saturating_sub(FRAME + 1).max(1);
    let first = columns.first().map(|column| (0, column.width.min(narrow)));
    Fitted { columns: first.into_iter().collect(), gap: (columns.len() > 1).then_some(1) }
}

/// `text` in `width` columns of the terminal. A cut text ends with `…`.
pub(in crate::cli) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut used = 0;
    for character in text.chars() {
        let wide = character.width().unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        shown.push(character);
    }
    shown.push(CUT);
    shown
}

/// The widths of the columns `kept` with the least cutting, or None if they do not fit.
fn widths(columns: &[Column], kept: &[usize], width: usize) -> Option<Vec<usize>> {
    let at = |cap: usize| -> Vec<usize> {
        let cut = |column: &Column| column.width.min(if column.is_text { cap } else { cap.max(WHOLE_WIDTH_MAX) });
        kept.iter().filter_map(|position| columns.get(*position)).map(cut).collect()
    };
    let fits = |widths: &[usize]| widths.iter().map(|width| width + FRAME).sum::<usize>() < width;
    let widest = columns.iter().map(|column| column.width).max().unwrap_or(0);
    // Binary search for the widest cap that fits: a wider cap never makes the table narrower.
    let (mut fitting, mut too_wide) = (TEXT_WIDTH_MIN, widest + 1);
    if !fits(&at(fitting)) {
        return None;
    }
    while fitting + 1 < too_wide {
        let middle = fitting.midpoint(too_wide);
        if fits(&at(middle)) { fitting = middle } else { too_wide = middle }
    }
    Some(at(fitting))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn text(width: usize) -> Column {
        Column { width, is_text: true, is_empty: false }
    }

    const fn number(width: usize) -> Column {
        Column { width, is_text: false, is_empty: false }
    }

    #[test]
    fn a_table_that_fits_is_unchanged() {
        let fitted = fit(&[number(5), text(20)], 32);
        assert_eq!(fitted, Fitted { columns: vec![(0, 5), (1, 20)], gap: None });
    }

    #[test]
    fn long_text_is_cut_and_numbers_are_not() {
        let fitted = fit(&[number(20), text(100), text(8)], 80);
        assert_eq!(fitted, Fitted { columns: vec![(0, 20), (1, 42), (2, 8)], gap: None });
    }

    #[test]
    fn columns_in_the_middle_are_left_out() {
        let fitted = fit(&[text(15); 10], 60);
        assert_eq!(fitted.gap, Some(2));
        assert_eq!(fitted.columns.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [0, 1, 9]);
        assert!(fitted.columns.iter().map(|(_, width)| width + FRAME).sum::<usize>() + 1 + FRAME < 60);
    }

    /// The columns of DESCRIBE HISTORY: the operation is the fifth one, after two that are often NULL.
    #[test]
    fn columns_without_values_are_left_out_first() {
        let empty = Column { is_empty: true, ..text(8) };
        let columns = [number(7), number(23), empty, empty, text(12), text(60), empty, text(40), text(30)];
        let positions = |width: usize| -> Vec<usize> {
            fit(&columns, width).columns.iter().map(|(position, _)| *position).collect()
        };
        assert_eq!(positions(80), [0, 1, 4, 8]);
        assert_eq!(positions(102), [0, 1, 4, 5, 7, 8]);
        assert_eq!(fit(&columns, 80).gap, Some(2));
        assert_eq!(fit(&[empty; 3], 12).columns.len(), 1);
    }

    #[test]
    fn wide_characters_are_never_cut_in_half() {
        assert_eq!(cut("東京都", 5), "東京…");
        assert_eq!(cut("東京都", 4), "東…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 1), "…");
    }

    #[test]
    fn a_terminal_that_is_too_narrow_shows_one_column() {
        assert_eq!(fit(&[number(40), text(9)], 12), Fitted { columns: vec![(0, 4)], gap: Some(1) });
        assert_eq!(fit(&[text(40)], 3), Fitted { columns: vec![(0, 1)], gap: None });
        assert_eq!(fit(&[], 80), Fitted { columns: vec![], gap: None });
    }
}
