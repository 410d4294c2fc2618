//! The answer for people: tables, remarks and a line that sums it up.

use std::time::Duration;

use crate::plan::impact::{Container, Impact, RebuiltImage};
use crate::ui::table::{Column, Table};
use crate::ui::{OutputStyle, human};

/// The whole answer; the last line sums it up.
pub(crate) fn show(impact: &Impact, style: &OutputStyle) -> String {
    let mut parts = Vec::new();
    if !impact.images.is_empty() {
        parts.push(images(impact, style));
    }
    if let Some(containers) = impact.containers.as_deref().filter(|all| !all.is_empty()) {
        parts.push(table(containers, style));
    }
    if !impact.declares.is_empty() {
        parts.push(impact.declares.iter().map(|entry| format!("{entry}\n")).collect());
    }
    // A file of the spec has no cost of its own: that is its entries'.
    let sum = (!impact.images.is_empty() || impact.declares.is_empty()).then(|| summary(impact));
    let last: Vec<String> = impact.notes.iter().cloned().chain(sum).collect();
    parts.push(last.join("\n") + "\n");
    parts.join("\n")
}

fn images(impact: &Impact, style: &OutputStyle) -> String {
    let engine = impact.bytes.is_some();
    let mut columns = vec![Column::left("IMAGE").whole(), Column::left("WHY")];
    if engine {
        columns.extend(["CONTAINERS", "SIZE"].map(Column::right));
    }
    columns.push(Column::right("TIME"));
    let mut table = Table::new(columns);
    for image in &impact.images {
        let mut row = vec![image.name.to_string(), image.why.to_string()];
        if engine {
            row.push(on(impact, image));
            row.push(image.bytes.map_or("?".into(), human::bytes));
        }
        row.push(image.took_ms.map_or("?".into(), |took| human::took(Duration::from_millis(took))));
        table.row(row);
    }
    table.render(style.width, style.either("…", "~"))
}

/// How many containers are based on an image; empty for none.
fn on(impact: &Impact, image: &RebuiltImage) -> String {
    let all = impact.containers.iter().flatten().filter(|container| container.image == image.name);
    Some(all.count()).filter(|count| *count > 0).map(|count| count.to_string()).unwrap_or_default()
}

fn table(containers: &[Container], style: &OutputStyle) -> String {
    let mut table = Table::new(["CONTAINER", "ON", "STATUS", "OWNER"].map(Column::left));
    for container in containers {
        let owner = container.owner.as_deref().unwrap_or("?");
        table.row([container.name.as_str(), container.image.as_str(), &container.status, owner]);
    }
    table.render(style.width, style.either("…", "~"))
}

/// `5 images, 3 users, 2 running containers, 412.0 MB, about 2m 10s`.
fn summary(impact: &Impact) -> String {
    let images = impact.images.len();
    if images == 0 {
        return "nothing would be rebuilt".into();
    }
    let mut parts = vec![human::count(images, "image"), human::count(impact.users.len(), "user")];
    parts.extend(impact.containers.as_ref().map(|all| {
        let running = all.iter().filter(|container| container.running).count();
        match all.len() - running {
            0 => human::count(running, "running container"),
            stopped => format!("{running} running and {}", human::count(stopped, "stopped container")),
        }
    }));
    parts.extend(impact.bytes.map(|bytes| match bytes.unknown {
        0 => human::bytes(bytes.total),
        unknown if unknown == images => "size unknown".into(),
        unknown => {
            format!("{} ({} of unknown size)", human::bytes(bytes.total), human::count(unknown, "image"))
        }
    }));
    let wall = human::took(Duration::from_millis(impact.time.wall_ms));
    parts.push(match impact.time.unknown {
        0 => format!("about {wall}"),
        unknown if unknown == images => "never timed".into(),
        unknown => format!("about {wall} ({} never timed)", human::count(unknown, "image")),
    });
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::{Login, NodeName};
    use crate::plan::impact::{Cause, ImageSize, Target, Time, User};

    fn image(name: &str, why: Cause, bytes: Option<u64>, took_ms: Option<u64>) -> RebuiltImage {
        RebuiltImage {
            name: NodeName::new(name),
            repository: format!("ds01/{name}"),
            direct: why == Cause::Itself,
            why,
            image_id: None,
            bytes,
            took_ms,
        }
    }

    fn container(name: &str, image: &str, running: bool) -> Container {
        Container {
            name: name.into(),
            image: NodeName::new(image),
            owner: running.then(|| "h.baker@x".into()),
            running,
            status: if running { "Up 3 minutes" } else { "Exited (0) 2 days ago" }.into(),
        }
    }

    fn answer() -> Impact {
        let stands_on = |parent: &str| Cause::StandsOn { parent: parent.into() };
        let (vision, thesis) = (NodeName::new("vision"), NodeName::new("h-baker/thesis"));
        Impact {
            asked: Target::Arg { name: "X".into(), value: None },
            images: vec![
                image(vision.as_str(), Cause::Itself, Some(412_000_000), Some(125_000)),
                image(thesis.as_str(), stands_on("vision"), Some(41_000), Some(5_300)),
            ],
            users: vec![User { login: Login::new("h.baker@x"), projects: vec![thesis] }],
            containers: Some(vec![
                container("thesis._.1001", "h-baker/thesis", true),
                container("old", "h-baker/thesis", false),
            ]),
            bytes: Some(ImageSize { total: 412_041_000, unknown: 0 }),
            time: Time { sum_ms: 130_300, wall_ms: 130_300, jobs: 2, unknown: 0 },
            declares: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn people_see_images_then_containers_then_a_line_that_sums_it_up() {
        insta::assert_snapshot!(show(&answer(), &OutputStyle::default()));
    }

    #[test]
    fn without_an_engine_there_are_images_and_times() {
        let mut answer = answer();
        (answer.containers, answer.bytes) = (None, None);
        answer.images.iter_mut().for_each(|image| image.bytes = None);
        insta::assert_snapshot!(show(&answer, &OutputStyle::default()));
    }

    #[test]
    fn what_is_not_known_is_counted_and_not_passed_over() {
        let mut answer = answer();
        answer.containers = Some(Vec::new());
        answer.images[1] = image("h-baker/thesis", Cause::CopiesFrom { parent: "tools".into() }, None, None);
        answer.bytes = Some(ImageSize { total: 412_000_000, unknown: 1 });
        answer.time.unknown = 1;
        insta::assert_snapshot!(show(&answer, &OutputStyle::default()));
        answer.bytes = Some(ImageSize { total: 0, unknown: 2 });
        answer.time.unknown = 2;
        assert_eq!(summary(&answer), "2 images, 1 user, 0 running containers, size unknown, never timed");
    }

    #[test]
    fn a_file_that_nobody_reads_says_so_and_one_of_the_spec_lists_its_entries() {
        let mut answer = answer();
        answer.images.clear();
        answer.containers = Some(Vec::new());
        answer.notes = vec!["no image reads it".into()];
        assert_eq!(show(&answer, &OutputStyle::default()), "no image reads it\nnothing would be rebuilt\n");
        answer.notes = vec!["the spec is compared entry by entry".into()];
        answer.declares = vec!["image a".into(), "plan b".into()];
        let expected = "image a\nplan b\n\nthe spec is compared entry by entry\n";
        assert_eq!(show(&answer, &OutputStyle::default()), expected);
    }
}
