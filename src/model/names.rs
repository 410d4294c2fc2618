//! Typed names, so that one kind of name cannot be passed for another.
//!
//! Grammar is checked where text enters (`spec`); these types only carry it.

use std::fmt;

use super::digest::short_hex;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $type(String);

        impl $type {
            /// Wraps text that was already checked.
            pub(crate) fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The name as text.
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d).map(Self)
            }
        }
    };
}

name!(
    /// A key of `bases:`.
    BaseName
);
name!(
    /// A key of `images:`.
    ImageName
);
name!(
    /// A key of `plans:`.
    PlanName
);
name!(
    /// A project's key. Two users may each have a project of one name.
    ProjectName
);
name!(
    /// A login as the user database has it, e.g. `h.baker@hertie-school.lan`.
    Login
);
name!(
    /// A node of the graph as people read and type it: `pytorch`, `vision`,
    /// `vision@py312` (plan variant), `h-baker/thesis` (project image).
    NodeName
);
name!(
    /// An image as the engine names it: `sha256:<64 hex>`.
    ImageId
);

impl ImageId {
    /// As people are shown it: 12 digits, without `sha256:`.
    pub(crate) fn short(&self) -> &str {
        short_hex(&self.0)
    }
}
