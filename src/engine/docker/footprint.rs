//! What images take of the store, in as few calls as an engine allows.
//!
//! An engine from 23 on counts shared bytes in its list. An older one counts
//! them in `/system/df` only, which also walks every container and volume:
//! there layers are compared instead, with two small calls for an image.

use std::collections::HashMap;
use std::pin::pin;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ImageHistoryResponseItem, ImageInspect, ImageSummary};
use bollard::query_parameters::ListImagesOptionsBuilder;
use futures::{StreamExt, stream};
use jiff::Timestamp;

use super::fault;
use crate::engine::Footprint;
use crate::model::names::ImageId;

/// Calls under way at one time.
const AT_ONCE: usize = 16;

/// Of these images, those that are there.
pub(crate) async fn read(client: &Docker, images: &[ImageId]) -> Result<HashMap<ImageId, Footprint>, Error> {
    if images.is_empty() {
        return Ok(HashMap::new());
    }
    let options = ListImagesOptionsBuilder::new().all(false).shared_size(true).build();
    let list = client.list_images(Some(options)).await?;
    let counted: HashMap<&str, u64> = list.iter().filter_map(|i| Some((i.id.as_str(), own(i)?))).collect();
    let counts = images.iter().all(|id| counted.contains_key(id.as_str()));
    let mut asked: Vec<ImageId> = images.to_vec();
    if !counts {
        asked.extend(list.iter().map(|image| ImageId::new(&image.id)).filter(|id| !images.contains(id)));
    }
    let inspect = |id: ImageId| async move { (client.inspect_image(id.as_str()).await, id) };
    let details = answers(asked.into_iter().map(inspect)).await?;
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
    calls: impl Iterator<Item = impl Future<Output = (Result<T, Error>, ImageId)>>,
) -> Result<HashMap<ImageId, T>, Error> {
    let mut found = HashMap::new();
    let mut calls = pin!(stream::iter(calls).buffer_unordered(AT_ONCE));
    while let Some((answer, id)) = calls.next().await {
        match answer {
            Ok(answer) => drop(found.insert(id, answer)),
            Err(error) if fault::is_not_found(&error) => {}
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

    use super::*;

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
