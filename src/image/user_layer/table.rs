//! The account databases: lines of fields with `:` between them.
//!
//! Bytes, not text, since a name field may be in any encoding. A line that is
//! not edited stays byte for byte; only a missing last newline is added.

/// A file such as `/etc/passwd`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// Without their newlines.
    lines: Vec<Vec<u8>>,
}

/// A line that is an entry.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    pub(crate) line: usize,
    fields: Vec<&'a [u8]>,
}

impl<'a> Row<'a> {
    /// A field; empty where the line is too short.
    pub(crate) fn field(&self, column: usize) -> &'a [u8] {
        self.fields.get(column).copied().unwrap_or_default()
    }

    /// A field for people to read.
    pub(crate) fn text(&self, column: usize) -> String {
        String::from_utf8_lossy(self.field(column)).into_owned()
    }

    /// A field that is a number.
    pub(crate) fn number(&self, column: usize) -> Option<u32> {
        std::str::from_utf8(self.field(column)).ok()?.parse().ok()
    }
}

impl Table {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut lines: Vec<Vec<u8>> = bytes.split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
        lines.pop_if(|last| last.is_empty());
        Self { lines }
    }

    /// The file's bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect()
    }

    /// The entries; comments, blank lines and NIS lines (`+`, `-`) are none.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.lines
            .iter()
            .enumerate()
            .filter(|(_, line)| is_entry(line))
            .map(|(line, bytes)| Row { line, fields: bytes.split(|&b| b == b':').collect() })
    }

    /// The first entry whose first field is `name`.
    pub(crate) fn named(&self, name: &[u8]) -> Option<Row<'_>> {
        self.rows().find(|row| row.field(0) == name)
    }

    /// Sets one field of a line, which is lengthened if it is too short.
    pub(crate) fn set(&mut self, line: usize, column: usize, value: &[u8]) {
        let mut fields: Vec<&[u8]> = self.lines[line].split(|&b| b == b':').collect();
        fields.resize(fields.len().max(column + 1), b"");
        fields[column] = value;
        self.lines[line] = fields.join(&b':');
    }

    /// Adds an entry after the last one, but before NIS lines: what follows
    /// those may never be looked at.
    pub(crate) fn add(&mut self, fields: &[&str]) {
        let at = self.lines.iter().position(|line| line.starts_with(b"+")).unwrap_or(self.lines.len());
        self.lines.insert(at, fields.join(":").into_bytes());
    }

    /// Changes a comma-separated list of names in every entry.
    pub(crate) fn edit_lists(
        &mut self,
        column: usize,
        edit: impl Fn(&Row<'_>, Vec<Vec<u8>>) -> Vec<Vec<u8>>,
    ) {
        let changes: Vec<_> = self
            .rows()
            .filter_map(|row| {
                let old = list(row.field(column));
                let new = edit(&row, old.clone());
                (new != old).then(|| (row.line, new.join(&b',')))
            })
            .collect();
        for (line, value) in changes {
            self.set(line, column, &value);
        }
    }
}

fn is_entry(line: &[u8]) -> bool {
    let first = line.trim_ascii_start().first();
    first.is_some_and(|first| !b"#+-".contains(first)) && line.contains(&b':')
}

fn list(field: &[u8]) -> Vec<Vec<u8>> {
    field.split(|&b| b == b',').filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_no_entries_are_kept_and_not_read() {
        let bytes = b"# users: all\n\nroot:x:0:0::/root:/bin/sh\n-bad:::\n+::::::\n";
        let table = Table::parse(bytes);
        let names: Vec<String> = table.rows().map(|row| row.text(0)).collect();
        assert_eq!(names, ["root"]);
        assert_eq!(table.bytes(), bytes);
    }

    #[test]
    fn a_missing_last_newline_is_added() {
        let mut table = Table::parse(b"a:x:1");
        table.add(&["b", "x", "2"]);
        assert_eq!(table.bytes(), b"a:x:1\nb:x:2\n");
    }

    #[test]
    fn an_entry_goes_before_nis_lines() {
        let mut table = Table::parse(b"a:x:1\n+@staff::\n+::\n");
        table.add(&["b", "x", "2"]);
        assert_eq!(table.bytes(), b"a:x:1\nb:x:2\n+@staff::\n+::\n");
    }

    #[test]
    fn a_short_line_is_lengthened_when_a_field_is_set() {
        let mut table = Table::parse(b"a:x\n");
        table.set(0, 3, b"z");
        assert_eq!(table.bytes(), b"a:x::z\n");
    }

    #[test]
    fn only_changed_lists_are_written_anew() {
        let mut table = Table::parse(b"adm:x:4:,b,\nsudo:x:27:a,b\n");
        table.edit_lists(3, |_, names| names.into_iter().filter(|name| name != b"a").collect());
        assert_eq!(table.bytes(), b"adm:x:4:,b,\nsudo:x:27:b\n");
    }
}
