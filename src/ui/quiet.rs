//! Nothing until the run is over; then failures and the line of numbers.

use std::io::Write;

use super::look::Look;
use super::state::RunState;
use super::{News, Reporter, summary};

/// See the module.
#[derive(Debug)]
pub(crate) struct Quiet<W> {
    out: W,
    look: Look,
}

impl<W: Write> Quiet<W> {
    pub(crate) fn new(out: W, look: Look) -> Self {
        Self { out, look }
    }
}

impl<W: Write + Send> Reporter for Quiet<W> {
    fn event(&mut self, _: &News<'_>) {}

    fn finish(&mut self, run: &RunState) {
        let _ = self.out.write_all(summary::render(run, &self.look).as_bytes());
        let _ = self.out.flush();
    }
}
