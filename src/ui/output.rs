//! Where commands write what they found: data on stdout, remarks on stderr.
//!
//! A reader that goes away (`| head`) is no error: the rest is not written.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use super::problems;
use super::style::OutputStyle;
use super::table::Table;
use crate::model::problem::Problem;

/// A command's two outputs.
pub(crate) struct Output {
    /// Data is wanted as JSON.
    pub(crate) json: bool,
    /// How stdout may look.
    pub(crate) style: OutputStyle,
    /// How stderr may look.
    pub(crate) remarks_style: OutputStyle,
    out: Pipe,
    remarks: Pipe,
}

impl Output {
    /// On the process's stdout and stderr.
    pub(crate) fn standard(json: bool, style: OutputStyle, remarks_style: OutputStyle) -> Self {
        Self::new(json, style, remarks_style, Box::new(io::stdout()), Box::new(io::stderr()))
    }

    /// On any two writers.
    pub(crate) fn new(
        json: bool,
        style: OutputStyle,
        remarks_style: OutputStyle,
        out: Box<dyn Write + Send>,
        remarks: Box<dyn Write + Send>,
    ) -> Self {
        Self { json, style, remarks_style, out: Pipe::new(out), remarks: Pipe::new(remarks) }
    }

    /// Text on stdout, a line end added.
    pub(crate) fn line(&mut self, text: &str) {
        self.out.put(&format!("{text}\n"));
    }

    /// Text on stdout as it is.
    pub(crate) fn text(&mut self, text: &str) {
        self.out.put(text);
    }

    /// What a program wrote to one of its two outputs: as it is and at once, on
    /// the same one of ours.
    pub(crate) fn bytes(&mut self, stderr: bool, bytes: &[u8]) {
        let pipe = if stderr { &mut self.remarks } else { &mut self.out };
        pipe.write(bytes);
        pipe.flush();
    }

    /// A remark on stderr, a line end added: not part of the data.
    pub(crate) fn note(&mut self, text: &str) {
        self.remarks.put(&format!("{text}\n"));
    }

    /// A table on stdout, cut to the terminal.
    pub(crate) fn table(&mut self, table: &Table) {
        self.out.put(&table.render(self.style.width, self.style.either("…", "~")));
    }

    /// A value on stdout as indented JSON. One that cannot be written as JSON
    /// is an error that [`Output::finish`] gives.
    pub(crate) fn value<T: Serialize + ?Sized>(&mut self, value: &T) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.out.put(&format!("{text}\n")),
            Err(error) => self.out.fail(error.into()),
        }
    }

    /// A value as JSON if that is wanted, else as text for people.
    pub(crate) fn data<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
        people: impl FnOnce(&T, &OutputStyle) -> String,
    ) {
        if self.json {
            self.value(value);
        } else {
            self.out.put(&people(value, &self.style));
        }
    }

    /// Problems: on stderr for people, on stdout as JSON, `{problems: […]}`.
    pub(crate) fn problems(&mut self, problems: &[Problem]) {
        if self.json {
            self.value(&serde_json::json!({ "problems": problems::facts(problems) }));
        } else {
            self.remarks.put(&problems::render(problems, &self.remarks_style));
        }
    }

    /// True once nobody reads stdout any more; further work for it is in vain.
    pub(crate) fn is_closed(&self) -> bool {
        self.out.closed
    }

    /// Writes out what is held back.
    ///
    /// # Errors
    /// What went wrong first on stdout, other than that its reader went away.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.remarks.flush();
        self.out.flush();
        self.out.error.map_or(Ok(()), Err)
    }
}

struct Pipe {
    to: Box<dyn Write + Send>,
    closed: bool,
    error: Option<io::Error>,
}

impl Pipe {
    fn new(to: Box<dyn Write + Send>) -> Self {
        Self { to, closed: false, error: None }
    }

    fn put(&mut self, text: &str) {
        self.write(text.as_bytes());
    }

    fn write(&mut self, bytes: &[u8]) {
        if !self.closed
            && let Err(error) = self.to.write_all(bytes)
        {
            self.fail(error);
        }
    }

    fn flush(&mut self) {
        if !self.closed
            && let Err(error) = self.to.flush()
        {
            self.fail(error);
        }
    }

    fn fail(&mut self, error: io::Error) {
        self.closed = true;
        if error.kind() != ErrorKind::BrokenPipe {
            self.error.get_or_insert(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::table::Column;
    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Fails in one way.
    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    /// What a command wrote to stdout and to stderr.
    fn written(json: bool, command: impl FnOnce(&mut Output)) -> (String, String) {
        let (out, remarks) = (Shared::default(), Shared::default());
        let style = OutputStyle::default();
        let mut output = Output::new(json, style, style, Box::new(out.clone()), Box::new(remarks.clone()));
        command(&mut output);
        output.finish().unwrap();
        let text = |shared: Shared| String::from_utf8(shared.0.lock().unwrap().clone()).unwrap();
        (text(out), text(remarks))
    }

    fn failing(kind: ErrorKind) -> Output {
        let style = OutputStyle::default();
        Output::new(false, style, style, Box::new(Failing(kind)), Box::new(Failing(kind)))
    }

    #[test]
    fn data_and_remarks_are_kept_apart() {
        let wrote = written(false, |output| {
            let mut table = Table::new([Column::left("NAME")]);
            table.row(["vision"]);
            output.table(&table);
            output.line("a line");
            output.note("a remark");
            output.problems(&[Problem::new("a problem")]);
        });
        assert_eq!(wrote.0, "NAME\nvision\na line\n");
        assert_eq!(wrote.1, "a remark\n  x a problem\n");
    }

    #[test]
    fn json_is_all_that_stands_on_stdout_if_it_is_wanted() {
        let wrote = written(true, |output| output.data(&[1, 2], |_, _| "people".to_owned()));
        assert_eq!(wrote, ("[\n  1,\n  2\n]\n".to_owned(), String::new()));
        let wrote = written(true, |output| output.problems(&[Problem::new("a problem")]));
        let value: serde_json::Value = serde_json::from_str(&wrote.0).unwrap();
        assert_eq!(value["problems"][0]["message"], "a problem");
        assert_eq!(wrote.1, "");
    }

    #[test]
    fn what_a_program_wrote_goes_on_as_it_is() {
        let out = Shared::default();
        let style = OutputStyle::default();
        let mut output = Output::new(false, style, style, Box::new(out.clone()), Box::new(out.clone()));
        output.bytes(false, b"no line end, \xff\0");
        assert_eq!(*out.0.lock().unwrap(), b"no line end, \xff\0", "before the end of all");
        output.bytes(true, b"!");
        assert_eq!(*out.0.lock().unwrap(), b"no line end, \xff\0!");
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error() {
        let mut output = failing(ErrorKind::BrokenPipe);
        assert!(!output.is_closed());
        output.line("x");
        assert!(output.is_closed());
        output.note("x");
        assert!(output.finish().is_ok());
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let mut output = failing(ErrorKind::StorageFull);
        output.line("x");
        output.line("y");
        assert_eq!(output.finish().unwrap_err().kind(), ErrorKind::StorageFull);
    }
}
