//! The layer that puts an account on an image: its recipe, the solve that
//! makes it, and making it or finding it made.

use std::collections::{BTreeMap, BTreeSet};

use tokio_util::sync::CancellationToken;

use super::{Decision, decide};
use crate::build::BuildEnvironment;
use crate::build::worker::failed;
use crate::engine::{self, Engine, ImageDetail, SolveError};
use crate::host::lock::Locks;
use crate::image::recipe::{self, BaseIdentity, Ingredient, Parts, Recipe, RecipeRecord, UserPart};
use crate::image::solve::{ConfigChange, Solve, Start};
use crate::model::account::Account;
use crate::model::event::{Event, Events, Failure, Outcome};
use crate::model::labels::write::{Catalogue, Labels, UserImage};
use crate::model::labels::{ARCH, FRAMEWORK, ImageLabels, RECIPE, is_old, read};
use crate::model::names::{ImageId, NodeName, ProjectName};
use crate::model::reference::{Reference, Repository};
use crate::{image::user_layer, model::tags};

/// What the layer is put on, and for whom.
#[derive(Clone, Debug)]
pub(crate) struct AccountImageInput<'a> {
    pub(crate) image: &'a ImageDetail,
    /// A name under which the engine has it.
    pub(crate) reference: &'a Reference,
    /// The repository's part behind `ds01-<uid>/`; see [`derived`](super::derived).
    pub(crate) name: &'a str,
    pub(crate) account: &'a Account,
    /// Of a project's image.
    pub(crate) project: Option<&'a ProjectName>,
    /// What a catalogue says of the image, where its labels do not.
    pub(crate) catalogue: Option<Catalogue>,
    /// OCI platform of the engine.
    pub(crate) platform: &'a str,
    /// What sudo, where it has to be installed, is installed with.
    pub(crate) environment: &'a BuildEnvironment,
}

/// An image with the account, before it is made.
#[derive(Clone, Debug)]
pub(crate) struct AccountImage {
    /// Its only tag, `ds01-<uid>/<name>:r-<16 hex>`.
    pub(crate) content: Reference,
    /// Recipe digest, 64 hex digits.
    pub(crate) recipe: String,
    pub(crate) solve: Solve,
    /// What the image will be, but for its id: there the tag stands.
    pub(crate) expected: ImageDetail,
}

/// The layer's recipe is made of the image's id, the account and the rules'
/// versions: the same image for the same person is made once, whatever names
/// it has at the time.
pub(crate) fn layer(input: &AccountImageInput<'_>) -> AccountImage {
    let mut labels = labels(input);
    let recipe = recipe(input, &labels.to_map());
    labels.recipe = recipe.digest().to_string();
    let ingredient_digests = recipe.ingredient_digests();
    let digest = |i: &Ingredient| Some((i.name().to_owned(), ingredient_digests.get(i.name())?.to_owned()));
    labels.ingredients = Ingredient::ALL.iter().filter_map(digest).collect();
    labels.record = RecipeRecord::of(&recipe).to_label(None);
    labels.base_name = input.reference.to_string();
    labels.base_digest = input.image.id.to_string();
    let config = ConfigChange {
        labels: labels.to_map(),
        drop_labels: old_labels(&input.image.labels),
        ..user_layer::config(input.account)
    };
    let repository = Repository::parse(&format!("ds01-{}/{}", input.account.uid, input.name));
    let repository = repository.expect("a derived name can be a repository's");
    let content = repository.with_tag(&tags::content_tag(&labels.recipe));
    let expected = expected(input, &content, &config);
    let solve = Solve {
        node: labels.image,
        start: Start::Image(input.reference.clone()),
        steps: Vec::new(),
        user: Some(input.account.clone()),
        sudo: input.environment.sudo(input.account),
        config,
        secrets: input.environment.offered(),
        proxy: input.environment.proxy.clone(),
        no_cache: false,
        cache_from: Vec::new(),
        inline_cache: false,
    };
    AccountImage { content, recipe: labels.recipe, solve, expected }
}

fn labels(input: &AccountImageInput<'_>) -> ImageLabels {
    let inherited = || {
        let framework = read::text(&input.image.labels, &FRAMEWORK)?.to_owned();
        let arch = read::text(&input.image.labels, &ARCH)?.to_owned();
        Some(Catalogue { framework, arch })
    };
    // No node of a spec is called so in a person's repository.
    let image = NodeName::new(format!("{}@setup", input.name));
    ImageLabels {
        title: format!("{} for {}", input.name, input.account.name),
        image,
        recipe: String::new(),
        scheme: recipe::SCHEME,
        ingredients: Vec::new(),
        record: String::new(),
        catalogue: inherited().or_else(|| input.catalogue.clone()),
        user: Some(UserImage { project: input.project.cloned(), account: input.account.clone() }),
        base_name: String::new(),
        base_digest: String::new(),
    }
}

fn recipe(input: &AccountImageInput<'_>, labels: &Labels) -> Recipe {
    let id = BaseIdentity::LocalImageId(ImageId::new(input.image.id.as_str()));
    Recipe::new(&Parts {
        dockerfile: None,
        context: None,
        args: &BTreeMap::new(),
        declared_args: &BTreeSet::new(),
        bases: &BTreeMap::from([("BASE_IMAGE".to_owned(), id)]),
        packages: None,
        user: Some(UserPart { account: input.account, rule: user_layer::RULE_VERSION }),
        labels,
        platform: input.platform,
        secrets: &BTreeSet::new(),
        refresh: Default::default(),
    })
}

/// What older systems wrote: of another person, or of a container that was
/// saved as this image. Of it only framework and architecture are kept, under
/// our own keys. Old `ds01.*` keys go with all others.
fn old_labels(labels: &Labels) -> BTreeSet<String> {
    labels.keys().filter(|key| is_old(key)).cloned().collect()
}

fn expected(input: &AccountImageInput<'_>, content: &Reference, config: &ConfigChange) -> ImageDetail {
    let mut detail = input.image.clone();
    detail.id = ImageId::new(content.to_string());
    detail.tags = vec![content.clone()];
    detail.onbuild.clear();
    detail.labels.retain(|key, _| !config.drop_labels.contains(key) && !key.starts_with("ds01."));
    detail.labels.extend(config.labels.clone());
    detail.user.clone_from(config.user.as_ref().expect("an account has a user"));
    detail
}

/// The image, if it was made before.
///
/// # Errors
/// The engine's.
pub(crate) async fn found(
    engine: &dyn Engine,
    layer: &AccountImage,
) -> Result<Option<ImageDetail>, engine::Error> {
    let image = engine.image(&layer.content.to_string()).await?;
    Ok(image.filter(|image| is_made(image, layer)))
}

fn is_made(image: &ImageDetail, layer: &AccountImage) -> bool {
    image.labels.get(RECIPE.name) == Some(&layer.recipe)
        && decide(&image.labels, account(layer)) == Decision::Skip
}

fn account(layer: &AccountImage) -> &Account {
    layer.solve.user.as_ref().expect("the layer is of a user")
}

/// Makes the image with the account on `base`, unless another run has built it
/// while this one waited for it; tags it when it was checked.
///
/// # Errors
/// The account cannot be in this image, the engine failed, or it was
/// cancelled.
pub(crate) async fn run(
    engine: &dyn Engine,
    locks: &Locks,
    base: &ImageDetail,
    layer: &AccountImage,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<(Outcome, ImageDetail), SolveError> {
    let waits = || {
        let _ = events.send(Event::ImageWaits { image: layer.solve.node.clone() });
    };
    let lock = locks.lock_image(&layer.recipe, cancel, waits).await;
    let lock = lock.map_err(|e| failed(format!("cannot lock the image against other runs: {e}")))?;
    let Some(_lock) = lock else { return Err(SolveError::Cancelled) };
    if let Some(image) = found(engine, layer).await? {
        return Ok((Outcome::BuiltElsewhere { id: image.id.clone() }, image));
    }
    let solved = engine.solve(&layer.solve, events, cancel).await?;
    let image = engine.image(solved.id.as_str()).await?;
    let image = check(image, base, layer)?;
    if cancel.is_cancelled() {
        return Err(SolveError::Cancelled);
    }
    engine.tag(&image.id, &layer.content).await?;
    Ok((Outcome::Built { id: image.id.clone() }, image))
}

/// What must hold before anything names it. A tag that moved since it was
/// looked at would give another base.
fn check(
    image: Option<ImageDetail>,
    base: &ImageDetail,
    layer: &AccountImage,
) -> Result<ImageDetail, SolveError> {
    let unsound = |message: &str| {
        let failure = Failure { message: message.to_owned(), check: true, ..Failure::default() };
        SolveError::Failed(Box::new(failure))
    };
    let image = image.ok_or_else(|| unsound("the engine lost the image right after it was there"))?;
    if !is_made(&image, layer) {
        return Err(unsound("the image does not have the labels of this recipe"));
    }
    if !image.diff_ids.starts_with(&base.diff_ids) {
        return Err(unsound("it is based on another image than was looked at: the tag moved meanwhile"));
    }
    Ok(image)
}
