//! The recipe of the layer on the fly, and the solve that makes it.

use std::collections::{BTreeMap, BTreeSet};

use crate::build::request::Surroundings;
use crate::engine::ImageDetail;
use crate::image::recipe::{self, BaseIdentity, Ingredient, Parts, Recipe, RecipeRecord, UserPart};
use crate::image::solve::{ConfigChange, Solve, Start};
use crate::model::account::Account;
use crate::model::labels::write::{Catalogue, Labels, UserImage};
use crate::model::labels::{ARCH, FRAMEWORK, ImageLabels, is_old, read};
use crate::model::names::{ImageId, NodeName, ProjectName};
use crate::model::reference::{Reference, Repository};
use crate::{image::user_layer, model::tags};

/// What the layer is put on, and for whom.
#[derive(Clone, Debug)]
pub(crate) struct Stand<'a> {
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
    pub(crate) around: &'a Surroundings,
}

/// An image with the account, before it is made.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
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
pub(crate) fn layer(stand: &Stand<'_>) -> Layer {
    let mut labels = labels(stand);
    let recipe = recipe(stand, &labels.to_map());
    labels.recipe = recipe.digest().to_string();
    let ingredient_digests = recipe.ingredient_digests();
    let digest = |i: &Ingredient| Some((i.name().to_owned(), ingredient_digests.get(i.name())?.to_owned()));
    labels.ingredients = Ingredient::ALL.iter().filter_map(digest).collect();
    labels.record = RecipeRecord::of(&recipe).to_label(None);
    labels.base_name = stand.reference.to_string();
    labels.base_digest = stand.image.id.to_string();
    let config = ConfigChange {
        labels: labels.to_map(),
        drop_labels: old_labels(&stand.image.labels),
        ..user_layer::config(stand.account)
    };
    let repository = Repository::parse(&format!("ds01-{}/{}", stand.account.uid, stand.name));
    let repository = repository.expect("a derived name can be a repository's");
    let content = repository.with_tag(&tags::content_tag(&labels.recipe));
    let expected = expected(stand, &content, &config);
    let solve = Solve {
        node: labels.image,
        start: Start::Image(stand.reference.clone()),
        steps: Vec::new(),
        user: Some(stand.account.clone()),
        sudo: stand.around.sudo(stand.account),
        config,
        secrets: stand.around.offered(),
        proxy: stand.around.proxy.clone(),
        no_cache: false,
        cache_from: Vec::new(),
        inline_cache: false,
    };
    Layer { content, recipe: labels.recipe, solve, expected }
}

fn labels(stand: &Stand<'_>) -> ImageLabels {
    let inherited = || {
        let framework = read::text(&stand.image.labels, &FRAMEWORK)?.to_owned();
        let arch = read::text(&stand.image.labels, &ARCH)?.to_owned();
        Some(Catalogue { framework, arch })
    };
    // No node of a spec is called so in a person's repository.
    let image = NodeName::new(format!("{}@setup", stand.name));
    ImageLabels {
        title: format!("{} for {}", stand.name, stand.account.name),
        image,
        recipe: String::new(),
        scheme: recipe::SCHEME,
        ingredients: Vec::new(),
        record: String::new(),
        catalogue: inherited().or_else(|| stand.catalogue.clone()),
        user: Some(UserImage { project: stand.project.cloned(), account: stand.account.clone() }),
        base_name: String::new(),
        base_digest: String::new(),
    }
}

fn recipe(stand: &Stand<'_>, labels: &Labels) -> Recipe {
    let id = BaseIdentity::LocalImageId(ImageId::new(stand.image.id.as_str()));
    Recipe::new(&Parts {
        dockerfile: None,
        context: None,
        args: &BTreeMap::new(),
        declared_args: &BTreeSet::new(),
        bases: &BTreeMap::from([("BASE_IMAGE".to_owned(), id)]),
        packages: None,
        user: Some(UserPart { account: stand.account, rule: user_layer::RULE_VERSION }),
        labels,
        platform: stand.platform,
        secrets: &BTreeSet::new(),
    })
}

/// What older systems wrote: of another person, or of a container that was
/// saved as this image. Of it only framework and architecture are kept, under
/// our own keys. Old `ds01.*` keys go with all others.
fn old_labels(labels: &Labels) -> BTreeSet<String> {
    labels.keys().filter(|key| is_old(key)).cloned().collect()
}

fn expected(stand: &Stand<'_>, content: &Reference, config: &ConfigChange) -> ImageDetail {
    let mut detail = stand.image.clone();
    detail.id = ImageId::new(content.to_string());
    detail.tags = vec![content.clone()];
    detail.labels.retain(|key, _| !config.drop_labels.contains(key) && !key.starts_with("ds01."));
    detail.labels.extend(config.labels.clone());
    detail.user.clone_from(config.user.as_ref().expect("an account has a user"));
    detail
}
