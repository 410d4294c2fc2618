//! `.dockerignore` with Docker's own semantics, which are not gitignore's.

/// Parsed rules; the default ignores nothing.
#[derive(Clone, Debug, Default)]
pub struct Ignore {}
