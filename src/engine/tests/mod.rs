//! The edges against a real engine. Each test has names of its own and removes
//! what it made.
//!
//! Those of the registry's client are here too: what it finds there, the engine
//! has pushed. `.config/nextest.toml` knows all of them by this module.

mod buildkit;
mod docker;
mod images;
mod importing;
mod registry;
mod requests;

// What tests of the whole program use as well.
#[path = "../../../tests/daemon/base.rs"]
#[expect(unreachable_pub, reason = "of the integration tests too")]
mod base;
#[path = "../../../tests/daemon/client.rs"]
#[expect(unreachable_pub, reason = "of the integration tests too")]
mod client;
#[path = "../../../tests/daemon/password_registry.rs"]
#[expect(unreachable_pub, reason = "of the integration tests too")]
mod password_registry;
#[path = "../../../tests/daemon/registries.rs"]
#[expect(unreachable_pub, reason = "of the integration tests too")]
mod registries;
#[path = "../../../tests/daemon/second_engine.rs"]
#[expect(unreachable_pub, reason = "of the integration tests too")]
#[expect(dead_code, reason = "tests of the whole program use more of it")]
mod second_engine;
