//! Included files: people's projects, each an image for one user.

use super::fields::{Fields, Key};
use super::images::{self, ImageDraft};
use super::load::SpecReader;
use super::lock_file::Stamp;
use super::reader::{Document, Item};
use super::users::{self, Users};
use super::{Parent, Project, grammar, packages};
use crate::model::account::Account;
use crate::model::names::{PlanName, ProjectName};
use crate::model::problem::Place;
use crate::model::reference::Repository;

const KEYS: &[&str] = &[
    "user",
    "image",
    "packages",
    "jupyter",
    "dockerfile",
    "context",
    "target",
    "build_args",
    "use_case",
    "refreshed",
];

/// Projects without a problem; those with one are left out.
pub(crate) fn projects(
    included: &[Document],
    users: &mut Users,
    images: &[ImageDraft],
    rd: &mut SpecReader,
) -> Vec<Project> {
    users::expect(included, users, rd.context.people);
    let mut projects = Vec::new();
    for document in included {
        for (key, value) in document.item().entries() {
            projects.extend(project(key, value, users, images, rd));
        }
    }
    projects
}

fn project(
    key: Key,
    value: Item,
    users: &mut Users,
    images: &[ImageDraft],
    rd: &mut SpecReader,
) -> Option<Project> {
    let place = key.place();
    let named = key.item.check(grammar::name("project", key.text));
    let fields = value.fields(KEYS);
    let user = fields
        .require("user", &place, "user: LOGIN")
        .and_then(|item| users::find(item, users, rd.context.people));
    let parent = parent(&fields, images, &place, rd);
    let jupyter = fields.flag("jupyter", false);
    let jupyter_place = fields.key("jupyter").filter(|_| jupyter == Some(true)).map(Item::place);
    let declared = packages::declared(&fields, jupyter_place, rd).unwrap_or_default();
    let dockerfile = fields.get("dockerfile").map(|_| images::dockerfile(&fields, None, key.item, rd));
    own_layers(&fields, key.text, jupyter == Some(true));
    let build_args = images::build_args(&fields, "build_args");
    let refreshed = fields.get("refreshed").map(Stamp::read);
    let repository = user.as_ref().filter(|_| named).and_then(|user| {
        let repository = Repository::parse(&format!("ds01-{}/{}", user.account.uid, key.text));
        let help = "use small letters and digits, with single `.`, `_` or `-` between them";
        key.item.parsed(repository, key.text, "cannot be a repository", help)
    });
    let (user, (parent, parent_plan)) = (user?, parent?);
    Some(Project {
        name: ProjectName::new(key.text),
        place,
        account: Account { jupyter: jupyter?.then(|| ProjectName::new(key.text)), ..user.account },
        group: user.group,
        parent,
        parent_plan,
        repository: repository?,
        packages: declared.packages,
        origins: declared.origins,
        dockerfile: match dockerfile {
            Some(dockerfile) => Some(dockerfile?),
            None => None,
        },
        build_args,
        jupyter: jupyter?,
        refreshed: match refreshed {
            Some(stamp) => Some(stamp?),
            None => None,
        },
    })
}

/// `image: NAME` or `image: NAME@PLAN`.
fn parent(
    fields: &Fields,
    images: &[ImageDraft],
    place: &Place,
    rd: &SpecReader,
) -> Option<(Parent, Option<PlanName>)> {
    let item = fields.require("image", place, "image: NAME")?;
    let text = item.string()?;
    let (name, plan) = text.split_once('@').map_or((text, None), |(name, plan)| (name, Some(plan)));
    let parent = rd.names.parent(name, item)?;
    let Some(plan) = plan else { return Some((parent, None)) };
    let plan = rd.names.plan(plan, item);
    match &parent {
        Parent::Base(name) => {
            item.report(format!("the base `{name}` has no plans"), format!("write `image: {name}`"));
        }
        Parent::Image(name) => {
            if images.iter().any(|draft| draft.name == *name && draft.skip_plans.contains(&plan)) {
                let message = format!("`{name}` is left out of the plan `{plan}`");
                item.report(message, format!("write `image: {name}`, or another plan"));
            }
        }
    }
    Some((parent, Some(plan)))
}

/// A project has declared packages, or a Dockerfile, not both.
fn own_layers(fields: &Fields, name: &str, jupyter: bool) {
    let dockerfile = fields.get("dockerfile").is_some();
    if fields.has_any(&packages::KEYS) || !dockerfile {
        images::no_dockerfile_keys(fields, dockerfile, name);
    } else if jupyter && let Some(at) = fields.key("jupyter") {
        let help = "install JupyterLab in the Dockerfile, and remove `jupyter`";
        at.report(format!("`{name}` has both a Dockerfile and `jupyter`"), help);
    }
}
