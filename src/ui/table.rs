//! Small aligned tables. Knows columns and cells, nothing of what is in them.

use super::text::{clean, columns, shorten};

/// Between two columns.
const GAP: usize = 2;
/// A column is never cut below this, nor below its header.
const LEAST: usize = 8;

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    header: String,
    right: bool,
    whole: bool,
}

impl Column {
    /// Text: at the left, and cut if the table is too wide.
    pub(crate) fn left(header: impl Into<String>) -> Self {
        Self { header: header.into(), right: false, whole: false }
    }

    /// A number: at the right, never cut.
    pub(crate) fn right(header: impl Into<String>) -> Self {
        Self { header: header.into(), right: true, whole: true }
    }

    /// Never cut: something to be copied, such as an ID.
    pub(crate) fn whole(mut self) -> Self {
        self.whole = true;
        self
    }
}

/// Rows under headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row. Missing cells are empty, further ones are left out.
    pub(crate) fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let mut row: Vec<_> = cells.into_iter().map(|cell| clean(&cell.into())).collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// Headers and rows, each line ended, without blanks at its end. With a
    /// width, long cells are cut until the table fits; one that cannot fit is
    /// left too wide. `mark` stands where something was cut.
    pub(crate) fn render(&self, width: Option<usize>, mark: &str) -> String {
        let widths = self.widths(width);
        let headers: Vec<_> = self.columns.iter().map(|column| column.header.clone()).collect();
        let mut out = String::new();
        for row in std::iter::once(&headers).chain(&self.rows) {
            let cells: Vec<_> = row
                .iter()
                .zip(&self.columns)
                .zip(&widths)
                .map(|((cell, column), &width)| align(&shorten(cell, width, mark), width, column.right))
                .collect();
            out.push_str(cells.join(&" ".repeat(GAP)).trim_end());
            out.push('\n');
        }
        out
    }

    fn widths(&self, limit: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<_> = self.columns.iter().map(|column| columns(&column.header)).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = columns(cell).max(*width);
            }
        }
        let Some(limit) = limit else { return widths };
        let gaps = GAP * widths.len().saturating_sub(1);
        // The widest loses first, so that short columns stay whole.
        while widths.iter().sum::<usize>() + gaps > limit {
            let floor = |at: usize| columns(&self.columns[at].header).max(LEAST);
            let widest = (0..widths.len())
                .filter(|&at| !self.columns[at].whole && widths[at] > floor(at))
                .max_by_key(|&at| widths[at]);
            match widest {
                Some(at) => widths[at] -= 1,
                None => break,
            }
        }
        widths
    }
}

fn align(cell: &str, width: usize, right: bool) -> String {
    let pad = " ".repeat(width.saturating_sub(columns(cell)));
    if right { pad + cell } else { cell.to_owned() + &pad }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn containers() -> Table {
        let mut table = Table::new([
            Column::left("NAME"),
            Column::left("IMAGE"),
            Column::right("GPUS"),
            Column::left("STATE"),
        ]);
        table.row(["thesis._.1001", "ds01-1001/thesis:latest", "1", "running"]);
        table.row(["李雷._.1002", "vision", "12", ""]);
        table
    }

    #[test]
    fn columns_are_aligned_by_what_they_take_on_the_screen() {
        let expected = "\
NAME           IMAGE                    GPUS  STATE
thesis._.1001  ds01-1001/thesis:latest     1  running
李雷._.1002    vision                     12
";
        assert_eq!(containers().render(None, "…"), expected);
    }

    #[test]
    fn the_widest_column_is_cut_first() {
        let expected = "\
NAME           IMAGE          GPUS  STATE
thesis._.1001  ds01-1001/th…     1  running
李雷._.1002    vision           12
";
        assert_eq!(containers().render(Some(43), "…"), expected);
    }

    #[test]
    fn a_column_to_be_copied_is_never_cut() {
        let mut table = Table::new([Column::left("ID").whole(), Column::left("NAME")]);
        table.row(["sha256:0123456789", "a long name here"]);
        let shown = table.render(Some(1), "…");
        assert_eq!(shown, "ID                 NAME\nsha256:0123456789  a long …\n");
    }

    #[test]
    fn rows_of_another_length_do_no_harm() {
        let mut table = Table::new([Column::left("A"), Column::left("B")]);
        table.row(["1"]);
        table.row(["1", "2", "3"]);
        assert_eq!(table.render(None, "…"), "A  B\n1\n1  2\n");
    }

    proptest! {
        #[test]
        fn a_table_keeps_to_its_width_where_it_can(
            cells in prop::collection::vec("\\PC{0,40}", 3..12),
            width in 28usize..80,
        ) {
            let mut table = Table::new([Column::left("A"), Column::left("B"), Column::left("C")]);
            cells.chunks(3).for_each(|row| table.row(row.iter().cloned()));
            let text = table.render(Some(width), "…");
            for line in text.lines() {
                prop_assert!(columns(line) <= width, "{line:?}");
                prop_assert_eq!(line.trim_end(), line);
            }
            prop_assert_eq!(text.lines().count(), 1 + cells.len().div_ceil(3));
        }
    }
}
