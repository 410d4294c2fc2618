//! Included files: people's projects, each an image for one user.

use super::images::{self, ImageDraft};
use super::names::{self, passes};
use super::read::{DeclaredNames, Document, SpecReader};
use super::reader::{Fields, Item, Key, Problems};
use super::users::Users;
use super::{Parent, Project, User, args, packages, people};
use crate::model::account::Account;
use crate::model::names::{PlanName, ProjectName};

use crate::model::problem::{Place, Problem};
use crate::model::reference::Repository;

const KEYS: &[&str] =
    &["user", "image", "packages", "jupyter", "dockerfile", "context", "target", "build_args", "use_case"];

/// Projects without a problem; those with one are left out.
pub(crate) fn projects(
    included: &[Document],
    users: &mut Users,
    images: &[ImageDraft],
    known: &DeclaredNames,
    rd: &mut SpecReader,
) -> Vec<Project> {
    people::expect(included, users, rd.world.people);
    let mut projects = Vec::new();
    for document in included {
        for (key, value) in document.item().entries(&mut rd.problems) {
            projects.extend(project(key, value, users, images, known, rd));
        }
    }
    projects
}

fn project(
    key: Key,
    value: Item,
    users: &mut Users,
    images: &[ImageDraft],
    known: &DeclaredNames,
    rd: &mut SpecReader,
) -> Option<Project> {
    let place = key.place();
    let named = passes(names::name("project", key.text), &place, &mut rd.problems);
    let fields = value.fields(KEYS, &mut rd.problems);
    let user = fields
        .require("user", &place, "user: LOGIN", &mut rd.problems)
        .and_then(|item| people::find(item, users, rd.world.people, &mut rd.problems));
    let parent = parent(&fields, images, known, &place, &mut rd.problems);
    let jupyter = fields.get("jupyter").map_or(Some(false), |item| item.boolean(&mut rd.problems));
    let asked = fields.key("jupyter").filter(|_| jupyter == Some(true));
    let declared = packages::declared(&fields, asked, rd).unwrap_or_default();
    let dockerfile = fields.get("dockerfile").map(|_| images::dockerfile(&fields, None, &place, rd));
    own_layers(&fields, key.text, jupyter == Some(true), &mut rd.problems);
    let build_args = args::build_args(fields.get("build_args"), &mut rd.problems);
    let repository = user.as_ref().filter(|_| named).and_then(|user| {
        let repository = Repository::parse(&format!("ds01-{}/{}", user.uid, key.text));
        repository.map_err(|why| rd.problems.push(bad_repository(key.text, &why, &place))).ok()
    });
    let (user, (parent, parent_plan, parent_place)) = (user?, parent?);
    Some(Project {
        name: ProjectName::new(key.text),
        place,
        account: account(&user, jupyter?.then(|| ProjectName::new(key.text)))?,
        group: user.group,
        parent,
        parent_plan,
        parent_place,
        repository: repository?,
        packages: declared.packages,
        origins: declared.origins,
        dockerfile: match dockerfile {
            Some(dockerfile) => Some(dockerfile?),
            None => None,
        },
        build_args,
        jupyter: jupyter?,
    })
}

fn bad_repository(name: &str, why: &str, place: &Place) -> Problem {
    Problem::new(format!("`{name}` cannot be a repository: {why}"))
        .at(place)
        .help("use small letters and digits, with single `.`, `_` or `-` between them")
}

fn account(user: &User, jupyter: Option<ProjectName>) -> Option<Account> {
    let account =
        Account::new(user.login.clone(), (user.uid, user.gid), user.shell.clone(), user.sudo).ok()?;
    Some(Account { jupyter, ..account })
}

/// `image: NAME` or `image: NAME@PLAN`.
fn parent(
    fields: &Fields,
    images: &[ImageDraft],
    known: &DeclaredNames,
    place: &Place,
    problems: &mut Problems,
) -> Option<(Parent, Option<PlanName>, Place)> {
    let item = fields.require("image", place, "image: NAME", problems)?;
    let text = item.string(problems)?;
    let (name, plan) = match text.split_once('@') {
        Some((name, plan)) => (name, Some(plan)),
        None => (text, None),
    };
    let place = item.place();
    let parent = known.parent(name, &place, problems)?;
    let Some(plan) = plan else { return Some((parent, None, place)) };
    known.plan(plan, &place, problems);
    let plan = PlanName::new(plan);
    match &parent {
        Parent::Base(name) => {
            let problem = Problem::new(format!("the base `{name}` has no plans")).at(&place);
            problems.push(problem.help(format!("write `image: {name}`")));
        }
        Parent::Image(name) => {
            let skipped = images.iter().any(|draft| draft.name == *name && draft.skip_plans.contains(&plan));
            if skipped {
                let problem = Problem::new(format!("`{name}` is left out of the plan `{plan}`")).at(&place);
                problems.push(problem.help(format!("write `image: {name}`, or another plan")));
            }
        }
    }
    Some((parent, Some(plan), place))
}

/// A project has declared packages, or a Dockerfile, not both.
fn own_layers(fields: &Fields, name: &str, jupyter: bool, problems: &mut Problems) {
    let dockerfile = fields.get("dockerfile").is_some();
    if packages::KEYS.iter().any(|key| fields.get(key).is_some()) || !dockerfile {
        images::no_dockerfile_keys(fields, dockerfile, name, problems);
    } else if jupyter && let Some(place) = fields.key("jupyter") {
        let problem = Problem::new(format!("`{name}` has both a Dockerfile and `jupyter`")).at(&place);
        problems.push(problem.help("install JupyterLab in the Dockerfile, and remove `jupyter`"));
    }
}
