//! The engine's builder.
// PLACEHOLDER until the branch that speaks BuildKit is merged; take theirs.

use tokio_util::sync::CancellationToken;

use crate::engine::{Error, SolveError, address::Address};
use crate::event::Events;
use crate::names::ImageId;
use crate::reference::Reference;
use crate::solve::Solve;

/// A builder.
#[derive(Debug)]
pub struct Builder(Address);

impl Builder {
    /// Remembers the address.
    pub fn connect(address: &Address) -> Self {
        Self(address.clone())
    }

    /// See [`crate::engine::Engine::solve`].
    pub async fn solve(&self, _: &Solve, _: &Events, _: &CancellationToken) -> Result<ImageId, SolveError> {
        Err(self.missing().into())
    }

    /// See [`crate::engine::Engine::resolve`].
    pub async fn resolve(&self, _: &Reference) -> Result<Option<String>, Error> {
        Err(self.missing())
    }

    fn missing(&self) -> Error {
        Error::NoBuildKit { address: format!("{:?}", self.0), cause: "this branch cannot build".into() }
    }
}
