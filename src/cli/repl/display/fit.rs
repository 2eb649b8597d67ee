//! How wide the columns of a table are when the terminal is narrower than they are.
//!
//! First long text gives way, down to a width at which it can still be told apart; then columns in the middle are left out,
//! since the first and the last ones say most about a row. A number is cut only when nothing else helps: it is wrong when it
//! is short.

/// Long text is not cut below this while a column could be left out instead.
const TEXT_WIDTH_MIN: usize = 12;
/// A number, a date or a time is not cut unless it is longer than this.
const WHOLE_WIDTH_MAX: usize = 30;
/// What stands around each column: a border and a blank on either side.
const FRAME: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    /// The width that all its values need.
    pub width: usize,
    /// Whether it holds text, which may be cut.
    pub is_text: bool,
}

/// What is shown: the columns by their numbers with their widths, and the position at which columns are left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fitted {
    pub columns: Vec<(usize, usize)>,
    pub gap: Option<usize>,
}

/// Fits `columns` into `width`.
pub(super) fn fit(columns: &[Column], width: usize) -> Fitted {
    let all: Vec<usize> = (0..columns.len()).collect();
    if let Some(widths) = widths(columns, &all, width) {
        return Fitted { columns: all.into_iter().zip(widths).collect(), gap: None };
    }
    // The gap itself is a column, one character wide.
    let room = width.saturating_sub(1 + FRAME);
    for shown in (1..columns.len()).rev() {
        let left = shown.div_ceil(2);
        let kept: Vec<usize> = (0..left).chain(columns.len() - (shown - left)..columns.len()).collect();
        if let Some(widths) = widths(columns, &kept, room) {
            return Fitted { columns: kept.into_iter().zip(widths).collect(), gap: Some(left) };
        }
    }
    let room = if columns.len() > 1 { room } else { width };
    let narrow = room.saturating_sub(FRAME + 1).max(1);
    let first = columns.first().map(|column| (0, column.width.min(narrow)));
    Fitted { columns: first.into_iter().collect(), gap: (columns.len() > 1).then_some(1) }
}

/// The widths of the columns `kept` when they fit, with as little cut as may be.
fn widths(columns: &[Column], kept: &[usize], width: usize) -> Option<Vec<usize>> {
    let at = |cap: usize| -> Vec<usize> {
        let cut = |column: &Column| column.width.min(if column.is_text { cap } else { cap.max(WHOLE_WIDTH_MAX) });
        kept.iter().filter_map(|position| columns.get(*position)).map(cut).collect()
    };
    let fits = |widths: &[usize]| widths.iter().map(|width| width + FRAME).sum::<usize>() < width;
    let widest = columns.iter().map(|column| column.width).max().unwrap_or(0);
    // The widest cap that fits, by halving: a wider cap never makes the table narrower.
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
        Column { width, is_text: true }
    }

    const fn number(width: usize) -> Column {
        Column { width, is_text: false }
    }

    #[test]
    fn what_fits_is_left_alone() {
        let fitted = fit(&[number(5), text(20)], 32);
        assert_eq!(fitted, Fitted { columns: vec![(0, 5), (1, 20)], gap: None });
    }

    #[test]
    fn long_text_gives_way_and_numbers_do_not() {
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

    #[test]
    fn a_terminal_that_is_too_narrow_shows_one_column() {
        assert_eq!(fit(&[number(40), text(9)], 12), Fitted { columns: vec![(0, 4)], gap: Some(1) });
        assert_eq!(fit(&[text(40)], 3), Fitted { columns: vec![(0, 1)], gap: None });
        assert_eq!(fit(&[], 80), Fitted { columns: vec![], gap: None });
    }
}
