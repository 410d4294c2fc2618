//! Images that the old way left behind: a container was set up, committed and
//! kept under `<base>:<name>._.<uid>`; and images of ours without a name.

use super::Severity::{Ok, Warning};
use super::{Finding, count, short};
use crate::engine::{Container, Image};
use crate::model::labels::read::split_name;
use crate::model::labels::{NAMESPACE, legacy::is_old};
use crate::model::reference::Reference;

const CHECK: &str = "leftovers";

/// One finding for each image, and one that sums up if there is none.
pub(crate) fn leftovers(images: &[Image], containers: &[Container]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = images
        .iter()
        .flat_map(|image| committed(image, containers).chain(unnamed(image, containers)))
        .collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.bytes));
    if findings.is_empty() {
        findings.push(Finding::new(CHECK, Ok, "images", "no leftovers of earlier ways to make images"));
    }
    findings
}

fn committed<'a>(image: &'a Image, containers: &'a [Container]) -> impl Iterator<Item = Finding> + 'a {
    let marked = |tag: &Reference| tag.tag().and_then(split_name).map(|(name, uid)| (name.to_owned(), uid));
    image.tags.iter().filter_map(move |tag| Some((tag, marked(tag)?))).map(move |(tag, (name, uid))| {
        let message = format!("committed from the container `{name}` of uid {uid}, as was done before");
        removable(tag.to_string(), tag.to_string(), message, image, containers)
    })
}

fn unnamed<'a>(image: &'a Image, containers: &'a [Container]) -> impl Iterator<Item = Finding> + 'a {
    let ours = |key: &String| key.starts_with(NAMESPACE) || is_old(key);
    let left = image.tags.is_empty() && image.labels.keys().any(ours);
    left.then(|| {
        let message = "has labels of ours and no name: a newer image took it, or its build was stopped";
        removable(short(image), image.id.to_string(), message.into(), image, containers)
    })
    .into_iter()
}

fn removable(
    subject: String,
    name: String,
    message: String,
    image: &Image,
    containers: &[Container],
) -> Finding {
    let users: Vec<String> =
        containers.iter().filter(|c| c.image_id == image.id).map(|c| c.name.clone()).collect();
    let finding = Finding::new(CHECK, Warning, subject, message).bytes(image.size);
    if users.is_empty() {
        return finding
            .help("remove it; the size counts layers that other images share")
            .command(format!("docker image rm {name}"));
    }
    let help = format!("{} still stands on it: remove it after that", count(users.len(), "container"));
    finding.help(help).items(users).command(format!("docker image rm {name}"))
}
