//! What an engine turned out not to be able to do, and what is asked for
//! instead. Pure; learnt anew by each run.

use super::super::MEMLOCK;
use crate::engine::{CreateContainer, EngineInfo, Error};
use crate::gpu::attach::{self, AttachMethod};

/// What was learnt.
#[derive(Debug, Default)]
pub(crate) struct Adjusted {
    /// An engine without the right to raise limits (rootless, or itself in a
    /// container) cannot lift the one on locked memory. That limit protects
    /// nothing of other users, so it is not lifted then. No other limit is
    /// ever given up.
    memlock: bool,
    /// The best way to attach GPUs is one that the engine says it has, and
    /// this is what works.
    way: Option<AttachMethod>,
}

impl Adjusted {
    /// The request as this engine can grant it.
    pub(crate) fn applied(&self, mut request: CreateContainer) -> CreateContainer {
        if self.memlock {
            request.ulimits.remove(MEMLOCK);
        }
        request
    }

    /// The way of attaching that is left; `None`: the best one.
    pub(crate) fn way(&self) -> Option<AttachMethod> {
        self.way
    }

    /// Whether something can be tried that was not tried yet.
    pub(crate) fn learn(&mut self, error: &Error, facts: &EngineInfo) -> bool {
        if !self.memlock && is_memlock(error) {
            self.memlock = true;
            return true;
        }
        if self.way.is_none() && attach::lacks_driver(error) {
            self.way = attach::second(facts, AttachMethod::Request);
            return self.way.is_some();
        }
        false
    }

    /// For people.
    pub(crate) fn note(&self) -> Option<String> {
        let note = "locked memory is limited as the engine limits it, which has no right to lift that limit";
        self.memlock.then(|| note.to_owned())
    }
}

/// runc says `error setting rlimit type 8: operation not permitted`, crun
/// `setrlimit `RLIMIT_MEMLOCK`: Operation not permitted`.
fn is_memlock(error: &Error) -> bool {
    let Error::Refused { message, .. } = error else { return false };
    let message = message.to_lowercase();
    let memlock = message.contains("rlimit type 8:") || message.contains("rlimit_memlock");
    memlock && message.contains("operation not permitted")
}

/// Whether it is the engine's GPUs that it fails for: Docker says with CDI
/// `unresolvable CDI devices`, and without NVIDIA's runtime `unknown or invalid
/// runtime name: nvidia`.
pub(crate) fn is_of_gpus(error: &Error) -> bool {
    let Error::Refused { message, .. } = error else { return false };
    let message = message.to_lowercase();
    let words = ["unresolvable cdi devices", "runtime name: nvidia"];
    attach::lacks_driver(error) || words.iter().any(|words| message.contains(words))
}
