//! What running containers take now, and what images take of the store, in as
//! few calls as an engine allows.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error as BollardError;
use bollard::models::{ContainerStatsResponse, ImageHistoryResponseItem, ImageInspect, ImageSummary};
use bollard::query_parameters::{ListImagesOptionsBuilder, StatsOptionsBuilder};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::client::{self, failed};
use crate::engine::{Error, Footprint, Usage};
use crate::model::names::ImageId;

// Of containers: CPU is the difference of two samples. Engines from 23 on answer
// at once if they are asked for one sample; older ones sample once a second
// whatever they are asked, so there a pair takes one to two seconds.

/// Containers that are measured together. Each takes a connection, and an
/// older engine lets each wait for its next second: few would take long.
const SAMPLED_AT_ONCE: usize = 256;
/// Between two samples.
const MOMENT: Duration = Duration::from_millis(300);

/// What a container had taken at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    /// Nanoseconds since 1970.
    at: i128,
    /// Nanoseconds of CPU since it began.
    cpu: u64,
    memory: u64,
    pids: u64,
}

/// By what they were asked for; those that do not run are left out.
pub(crate) async fn usage(client: &Docker, containers: &[String]) -> Result<HashMap<String, Usage>, Error> {
    let usages = stream::iter(containers.to_vec()).map(|container| async move {
        let Some(first) = sample(client, &container).await? else { return Ok(None) };
        tokio::time::sleep(MOMENT).await;
        let last = sample(client, &container).await?;
        Ok::<_, Error>(last.and_then(|last| between(first, last)).map(|usage| (container, usage)))
    });
    usages
        .buffer_unordered(SAMPLED_AT_ONCE)
        .try_filter_map(|found| async move { Ok(found) })
        .try_collect()
        .await
}

/// `None`: it does not run, or is gone.
async fn sample(client: &Docker, container: &str) -> Result<Option<Sample>, Error> {
    let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
    let answer = client.stats(container, Some(options)).boxed().next().await;
    match answer {
        Some(Ok(stats)) => Ok(taken(&stats)),
        None => Ok(None),
        Some(Err(e)) if client::is_not_found(&e) => Ok(None),
        Some(Err(e)) => Err(failed(&format!("measure container `{container}`"), e)),
    }
}

/// One that does not run has no time.
fn taken(stats: &ContainerStatsResponse) -> Option<Sample> {
    let at = stats.read.as_ref()?.parse::<Timestamp>().ok()?.as_nanosecond();
    let cpu = stats.cpu_stats.as_ref()?.cpu_usage.as_ref()?.total_usage?;
    (at > 0).then(|| Sample {
        at,
        cpu,
        memory: memory(stats),
        pids: stats.pids_stats.as_ref().and_then(|pids| pids.current).unwrap_or_default(),
    })
}

/// Without pages of files that nobody needs now, as Docker's own client counts
/// it: the key of cgroups v1, else that of v2.
fn memory(stats: &ContainerStatsResponse) -> u64 {
    let Some(memory) = &stats.memory_stats else { return 0 };
    let usage = memory.usage.unwrap_or_default();
    let file = |key: &str| memory.stats.as_ref()?.get(key).copied();
    let cache = file("total_inactive_file").or_else(|| file("inactive_file")).unwrap_or_default();
    if cache < usage { usage - cache } else { usage }
}

/// `None`: the samples are one and the same, or it was started again.
fn between(first: Sample, last: Sample) -> Option<Usage> {
    let elapsed = last.at - first.at;
    let cpu = last.cpu.checked_sub(first.cpu)?;
    (elapsed > 0).then(|| Usage { cpus: cpu as f64 / elapsed as f64, memory: last.memory, pids: last.pids })
}

// Of images: an engine from 23 on counts shared bytes in its list. An older one
// counts them in `/system/df` only, which also walks every container and volume:
// there layers are compared instead, with two small calls for an image.

/// Calls about images under way at one time.
const ASKED_AT_ONCE: usize = 16;

/// Of these images, those that are there.
pub(crate) async fn footprints(
    client: &Docker,
    images: &[ImageId],
) -> Result<HashMap<ImageId, Footprint>, BollardError> {
    if images.is_empty() {
        return Ok(HashMap::new());
    }
    let options = ListImagesOptionsBuilder::new().all(false).shared_size(true).build();
    let list = client.list_images(Some(options)).await?;
    let counted: HashMap<&str, u64> = list.iter().filter_map(|i| Some((i.id.as_str(), own(i)?))).collect();
    let counts = images.iter().all(|id| counted.contains_key(id.as_str()));
    let mut inspected: Vec<ImageId> = images.to_vec();
    if !counts {
        inspected.extend(list.iter().map(|image| ImageId::new(&image.id)).filter(|id| !images.contains(id)));
    }
    let inspect = |id: ImageId| async move { (client.inspect_image(id.as_str()).await, id) };
    let details = answers(inspected.into_iter().map(inspect)).await?;
    let past = |id: ImageId| async move { (client.image_history(id.as_str()).await, id) };
    let wanted = if counts { Vec::new() } else { images.to_vec() };
    let histories = answers(wanted.into_iter().map(past)).await?;
    let footprint = |id: &ImageId| {
        let detail = details.get(id)?;
        let own = match counted.get(id.as_str()) {
            Some(own) => *own,
            None => own_of(id, &details, histories.get(id)?),
        };
        Some((id.clone(), Footprint { own, tagged: tagged(detail) }))
    };
    Ok(images.iter().filter_map(footprint).collect())
}

/// What an engine that counts says; others say -1.
fn own(image: &ImageSummary) -> Option<u64> {
    let shared = u64::try_from(image.shared_size).ok()?;
    Some(u64::try_from(image.size).unwrap_or_default().saturating_sub(shared))
}

/// What was answered about images that are still there.
async fn answers<T>(
    calls: impl Iterator<Item = impl Future<Output = (Result<T, BollardError>, ImageId)>>,
) -> Result<HashMap<ImageId, T>, BollardError> {
    let mut found = HashMap::new();
    let mut calls = pin!(stream::iter(calls).buffer_unordered(ASKED_AT_ONCE));
    while let Some((answer, id)) = calls.next().await {
        match answer {
            Ok(answer) => drop(found.insert(id, answer)),
            Err(error) if client::is_not_found(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Bytes of the layers of one image that no other has. `history` is told
/// newest first.
fn own_of(
    id: &ImageId,
    details: &HashMap<ImageId, ImageInspect>,
    history: &[ImageHistoryResponseItem],
) -> u64 {
    let Some(image) = details.get(id) else { return 0 };
    let (mine, size) = (layers(image), image.size.unwrap_or_default());
    let others = details.iter().filter(|(other, _)| *other != id).map(|(_, other)| other);
    let (mut shared, mut largest) = (0, 0);
    for other in others {
        let theirs = layers(other);
        // A layer is stored once only on the same layers below it.
        let common = mine.iter().zip(theirs).take_while(|(a, b)| a == b).count();
        shared = shared.max(common);
        if common == theirs.len() {
            largest = largest.max(other.size.unwrap_or_default());
        }
    }
    // A step without bytes may have made a layer or none. So the newest layers
    // are taken to have bytes, and an image that all of is shared corrects it.
    let steps = history.iter().map(|step| step.size).filter(|size| *size > 0);
    let newest: i64 = steps.take(mine.len() - shared).sum();
    newest.min(size - largest).try_into().unwrap_or_default()
}

fn tagged(image: &ImageInspect) -> Option<i64> {
    let at: Timestamp = image.metadata.as_ref()?.last_tag_time.as_ref()?.parse().ok()?;
    // The engine writes the year 1 where no tag was ever put.
    Some(at.as_second()).filter(|at| *at > 0)
}

fn layers(image: &ImageInspect) -> &[String] {
    image.root_fs.as_ref().and_then(|fs| fs.layers.as_deref()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use bollard::models::ImageInspectRootFs;
    use serde_json::{Value, json};

    use super::*;

    fn stats(read: &str, cpu: u64, memory: Value) -> ContainerStatsResponse {
        serde_json::from_value(json!({
            "read": read, "pids_stats": {"current": 3},
            "cpu_stats": {"cpu_usage": {"total_usage": cpu}}, "memory_stats": memory
        }))
        .unwrap()
    }

    #[test]
    fn cpu_is_what_was_taken_between_two_samples() {
        let sample = |read: &str, cpu| taken(&stats(read, cpu, json!({"usage": 5, "stats": {}}))).unwrap();
        let first = sample("2026-11-21T11:03:53.153088433Z", 1_034_506_211);
        let last = sample("2026-11-21T11:03:54.156178386Z", 2_026_363_391);
        let usage = between(first, last).unwrap();
        assert!((usage.cpus - 0.9888).abs() < 0.0001, "{usage:?}");
        assert_eq!((usage.memory, usage.pids), (5, 3));
        assert_eq!(between(first, first), None, "an engine gave one sample twice");
        assert_eq!(between(last, Sample { at: last.at + 1, cpu: 0, ..last }), None, "it was started again");
    }

    #[test]
    fn memory_is_counted_without_the_page_cache_of_both_generations_of_cgroups() {
        let memory = |value: Value| memory(&stats("2026-11-21T11:03:54Z", 0, value));
        let v1 = json!({"usage": 2_187_264, "stats": {"total_inactive_file": 1_605_632, "inactive_file": 7}});
        assert_eq!(memory(v1), 581_632);
        assert_eq!(memory(json!({"usage": 100, "stats": {"inactive_file": 30}})), 70);
        assert_eq!(memory(json!({"usage": 100, "stats": {"inactive_file": 100}})), 100);
        assert_eq!(memory(json!({"usage": 100})), 100);
        assert_eq!(memory(json!({})), 0);
    }

    #[test]
    fn one_that_does_not_run_has_no_sample() {
        assert_eq!(taken(&stats("0001-01-01T00:00:00Z", 0, json!({}))), None);
        assert_eq!(taken(&ContainerStatsResponse::default()), None);
    }

    fn image(layers: &[&str], size: i64) -> ImageInspect {
        let layers = layers.iter().map(|layer| (*layer).to_owned()).collect();
        let root_fs = ImageInspectRootFs { typ: "layers".into(), layers: Some(layers) };
        ImageInspect { root_fs: Some(root_fs), size: Some(size), ..Default::default() }
    }

    fn history(newest_first: &[i64]) -> Vec<ImageHistoryResponseItem> {
        let step = |size: &i64| ImageHistoryResponseItem { size: *size, ..Default::default() };
        newest_first.iter().map(step).collect()
    }

    fn store<const N: usize>(images: [(&str, ImageInspect); N]) -> HashMap<ImageId, ImageInspect> {
        images.into_iter().map(|(id, image)| (ImageId::new(id), image)).collect()
    }

    #[test]
    fn what_an_image_alone_has_is_counted_by_its_layers() {
        let store = store([
            ("base", image(&["a", "b"], 300)),
            ("ann", image(&["a", "b", "packages", "ann"], 345)),
            ("bob", image(&["a", "b", "packages", "bob"], 347)),
            ("alone", image(&["z"], 7)),
            // The same change on other layers is stored again.
            ("moved", image(&["z", "b"], 207)),
            ("twin", image(&["a", "b"], 300)),
        ]);
        let cases = [
            ("base", history(&[200, 0, 100]), 0),
            ("ann", history(&[0, 5, 40, 0, 200, 100]), 5),
            ("bob", history(&[7, 40, 200, 100]), 7),
            ("alone", history(&[7]), 0),
            ("moved", history(&[200, 7]), 200),
        ];
        for (id, history, own) in cases {
            assert_eq!(own_of(&ImageId::new(id), &store, &history), own, "{id}");
        }
    }

    #[test]
    fn a_layer_without_bytes_never_makes_an_image_larger_than_what_it_adds() {
        let store = store([("base", image(&["a"], 300)), ("mine", image(&["a", "folder", "user"], 305))]);
        assert_eq!(own_of(&ImageId::new("mine"), &store, &history(&[5, 0, 300])), 5);
    }
}
