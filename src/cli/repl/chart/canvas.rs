//! A grid of characters for drawing lines with Braille dots: two columns and four rows of dots in each character.

const DOTS_ACROSS: usize = 2;
const DOTS_DOWN: usize = 4;
/// The bits of the dots in a character, by row and column.
const BITS: [[u8; DOTS_ACROSS]; DOTS_DOWN] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
/// The Braille character without dots. The bits are added to it.
const BLANK: u32 = 0x2800;

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    bits: u8,
    /// The last series with a dot in this character.
    series: usize,
}

#[derive(Debug)]
pub(super) struct Canvas {
    width: usize,
    height: usize,
    cells: Vec<Cell>,
}

/// A dot by its column and row. Row 0 is the lowest.
pub(super) type Dot = (usize, usize);

impl Canvas {
    /// Both sizes are in characters and at least 1.
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, cells: vec![Cell::default(); width * height] }
    }

    /// The dot at these shares of the width and the height, from 0 to 1.
    pub(super) fn dot_at(&self, across: f64, up: f64) -> Dot {
        let scale = |share: f64, dots: usize| (share.clamp(0.0, 1.0) * (dots - 1) as f64).round() as usize;
        (scale(across, self.width * DOTS_ACROSS), scale(up, self.height * DOTS_DOWN))
    }

    pub(super) fn set(&mut self, (column, row): Dot, series: usize) {
        let below_top = (self.height * DOTS_DOWN - 1).saturating_sub(row);
        let position = below_top / DOTS_DOWN * self.width + column / DOTS_ACROSS;
        if let Some(cell) = self.cells.get_mut(position) {
            cell.bits |= BITS[below_top % DOTS_DOWN][column % DOTS_ACROSS];
            cell.series = series;
        }
    }

    /// Draws a straight line, including both ends.
    pub(super) fn line(&mut self, from: Dot, to: Dot, series: usize) {
        let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1));
        let at = |from: usize, to: usize, step: usize| {
            let share = step as f64 / steps.max(1) as f64;
            (from as f64 + (to as f64 - from as f64) * share).round() as usize
        };
        for step in 0..=steps {
            self.set((at(from.0, to.0, step), at(from.1, to.1, step)), series);
        }
    }

    /// The rows from top to bottom, each as its characters with their series. A space has no series.
    pub(super) fn rows(&self) -> impl Iterator<Item = impl Iterator<Item = (char, Option<usize>)>> {
        let character = |cell: &Cell| match cell.bits {
            0 => (' ', None),
            bits => (char::from_u32(BLANK + u32::from(bits)).unwrap_or(' '), Some(cell.series)),
        };
        self.cells.chunks(self.width).map(move |row| row.iter().map(character))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(canvas: &Canvas) -> Vec<String> {
        canvas.rows().map(|row| row.map(|(character, _)| character).collect()).collect()
    }

    #[test]
    fn a_line_goes_from_corner_to_corner() {
        let mut canvas = Canvas::new(2, 1);
        canvas.line(canvas.dot_at(0.0, 0.0), canvas.dot_at(1.0, 1.0), 0);
        assert_eq!(drawn(&canvas), ["⡠⠊"]);
        let mut canvas = Canvas::new(3, 2);
        canvas.line(canvas.dot_at(0.0, 1.0), canvas.dot_at(1.0, 1.0), 1);
        assert_eq!(drawn(&canvas), ["⠉⠉⠉", "   "]);
        canvas.set(canvas.dot_at(1.0, 0.0), 2);
        assert_eq!(canvas.rows().last().unwrap().last(), Some(('⢀', Some(2))));
    }
}
