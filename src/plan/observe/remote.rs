//! Asks registries which references they have, all at once.
//!
//! Which to ask is the plan's decision; what the answers mean, too. That a
//! registry has no such image and that it could not be asked are never mixed
//! up.

use std::collections::BTreeMap;

use crate::model::reference::Reference;
use crate::registry::{Error, Registry};

/// What registries said.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// Short form of a reference → the manifest digest it stands for.
    pub(crate) found: BTreeMap<String, String>,
    /// Why a registry could not be asked, one for each host.
    pub(crate) unasked: BTreeMap<String, Error>,
}

/// One HEAD for each reference.
pub(crate) async fn ask(registry: &dyn Registry, references: &[Reference]) -> Answers {
    let asked = references.iter().map(|reference| registry.digest(reference));
    let said = futures::future::join_all(asked).await;
    let mut answers = Answers::default();
    for (reference, said) in references.iter().zip(said) {
        match said {
            Ok(Some(digest)) => drop(answers.found.insert(reference.to_string(), digest)),
            Ok(None) => {}
            Err(error) => drop(answers.unasked.entry(reference.registry().to_owned()).or_insert(error)),
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::fake::FakeRegistry;

    #[tokio::test]
    async fn what_is_not_there_and_who_could_not_be_asked_are_told_apart() {
        let registry = FakeRegistry::new();
        let references = ["reg.local/a:1", "reg.local/b:1", "gone.local/a:1", "gone.local/b:1"];
        let references = references.map(|text| Reference::parse(text).unwrap());
        let digest = registry.push(&references[0], &BTreeMap::new(), &["sha256:1"]);
        registry.lose("gone.local");
        let answers = ask(&registry, &references).await;
        assert_eq!(answers.found, BTreeMap::from([("reg.local/a:1".to_owned(), digest)]));
        assert_eq!(answers.unasked.keys().collect::<Vec<_>>(), ["gone.local"]);
        assert_eq!(registry.heads(), 4);
    }
}
