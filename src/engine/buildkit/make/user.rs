//! The account: asks the base, lays the layer, checks what came out.

use std::sync::{Arc, PoisonError};

use prost_types::Timestamp;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{Draft, Make, Stop};
use crate::engine::buildkit::config::Layer;
use crate::engine::buildkit::facts;
use crate::image::user_layer::{self, BaseFacts, Refusal};
use crate::model::account::Account;
use crate::model::event::Event;

/// Rounds of questions to a base before it is taken for endless.
const MOST_ROUNDS: usize = 16;

impl Make<'_> {
    pub(super) async fn add_user(&self, draft: &mut Draft, account: &Account) -> Result<(), Stop> {
        let layer = self.layer(draft, account).await?;
        for text in layer.notes {
            let _ = self.events.send(Event::Warning { image: Some(self.solve.node.clone()), text });
        }
        let title = format!("user {}", account.name);
        let (nodes, time) = (&layer.nodes, user_layer::FIXED_TIME_SECONDS);
        draft.state = draft.state.with_tree(nodes, time, &self.step(&title)).map_err(|e| {
            Stop::refused(e.to_string(), "use a base whose folders have usual modes".to_owned())
        })?;
        draft.layers.push(Layer { made_by: title, created: Some(fixed_time()) });
        let result = self.evaluate(draft).await?;
        let read = facts::read_back(self.job, &result.id, &user_layer::verify_wants(account)).await?;
        draft.known = Some(result);
        user_layer::verify(&read, account)
            .map_err(|e| Stop::unsound(format!("the account is not in the image: {e}")))
    }

    /// What is laid on the draft, to which sudo is brought first if it lacks it.
    pub(super) async fn layer(
        &self,
        draft: &mut Draft,
        account: &Account,
    ) -> Result<user_layer::Layer, Stop> {
        if draft.state.is_scratch() {
            let help = "an account needs a base with files: start from another image".to_owned();
            return Err(Stop::refused("the image is empty", help));
        }
        let mut base = self.base(draft, account).await?;
        if let Some(step) = &self.solve.sudo
            && user_layer::lacks_sudo(&base, account).map_err(refused)?
        {
            self.add_step(draft, step);
            base = self.base(draft, account).await?;
        }
        user_layer::layer(&base, account).map_err(refused)
    }

    /// Asks what the account is laid on, until the user layer's rules know enough.
    async fn base(&self, draft: &Draft, account: &Account) -> Result<OwnedMutexGuard<BaseFacts>, Stop> {
        let mut known = self.facts_of(draft).lock_owned().await;
        let mut base = None;
        for _ in 0..MOST_ROUNDS {
            let wants = user_layer::wanted(&known, account);
            if wants.is_empty() {
                break;
            }
            let base = match &mut base {
                Some(base) => base,
                none => none.insert(self.evaluate(draft).await?),
            };
            facts::learn(self.job, &base.id, &mut known, &wants).await?;
        }
        Ok(known)
    }

    /// Shared by all that stand on the same content; a Dockerfile's result, or
    /// one that is made anew, is known by nothing but itself.
    fn facts_of(&self, draft: &Draft) -> Arc<Mutex<BaseFacts>> {
        match (&draft.origin, draft.state.definition()) {
            (Some(origin), Some(definition)) if !self.solve.no_cache => {
                let mut bases = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
                bases.entry(format!("{origin} {}", definition.digest())).or_default().clone()
            }
            _ => Arc::default(),
        }
    }
}

fn refused(refusal: Refusal) -> Stop {
    Stop::refused(refusal.to_string(), refusal.help)
}

/// The user layer's time, as image configs write it.
pub(super) fn fixed_time() -> String {
    Timestamp { seconds: user_layer::FIXED_TIME_SECONDS, nanos: 0 }.to_string()
}
