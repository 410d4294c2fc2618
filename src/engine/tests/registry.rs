//! The client against a real registry: what Docker's own client pushes is
//! found, described and tagged, with and without a login.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use crate::model::reference::Reference;
use crate::registry::credentials::Credentials;
use crate::registry::http::{Options, Registries};
use crate::registry::{Error, Registry as _};
use futures::future::try_join_all;

use super::client::{docker, inspect};
use super::images::Images;
use super::registries::Registry;

fn client(docker_config: Option<PathBuf>) -> Registries {
    let files = docker_config.map(|folder| folder.join("config.json"));
    Registries::new(Options { credentials: Credentials::new(None, files), ..Options::default() })
}

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

/// Pushes the image under that name and lets the engine forget the name; the
/// digest is the one that Docker tells.
fn push(image: &str, name: &str, config: Option<&PathBuf>) -> String {
    docker(&["tag", image, name]);
    let login = config.map(|folder| ["--config".to_owned(), folder.display().to_string()]);
    let output = Command::new("docker").args(login.iter().flatten()).args(["push", name]).output().unwrap();
    docker(&["rmi", name]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text} {}", String::from_utf8_lossy(&output.stderr));
    let digest = text.split("digest: ").nth(1).and_then(|rest| rest.split_whitespace().next());
    digest.unwrap_or_else(|| panic!("no digest in: {text}")).to_owned()
}

#[tokio::test]
async fn what_docker_pushed_is_found_and_described() {
    let (images, registry) = (Images::new("described"), Registry::start());
    let base = images.base().to_string();
    let name = registry.repository("ds01/base");
    let digest = push(&base, &format!("{name}:v1"), None);
    let client = client(None);
    assert_eq!(client.digest(&reference(&format!("{name}:v1"))).await, Ok(Some(digest.clone())));
    assert_eq!(client.digest(&reference(&format!("{name}@{digest}"))).await, Ok(Some(digest.clone())));
    assert_eq!(client.digest(&reference(&format!("{name}:v2"))).await, Ok(None));
    assert_eq!(client.digest(&reference(&registry.repository("nobody/knows:v1"))).await, Ok(None));
    let found = client.image(&reference(&format!("{name}:v1")), "linux/amd64").await.unwrap().unwrap();
    assert_eq!((&found.digest, &found.manifest), (&digest, &digest));
    let labels: BTreeMap<String, String> =
        serde_json::from_str(&inspect(&base, "{{json .Config.Labels}}")).unwrap();
    assert_eq!(found.labels, labels);
    let layers: Vec<String> = serde_json::from_str(&inspect(&base, "{{json .RootFS.Layers}}")).unwrap();
    assert_eq!(found.diff_ids, layers);
    let size: u64 = inspect(&base, "{{.Size}}").parse().unwrap();
    assert!((1..size).contains(&found.size), "{} of {size}", found.size);
}

#[tokio::test]
async fn a_tag_moves_without_a_pull_also_behind_a_login() {
    let (images, registry) = (Images::new("tagged"), Registry::with_login());
    let config = registry.docker_config();
    let (one, two) = (images.base().to_string(), Images::new("tagged-two"));
    let two_image = two.base_with(|root| std::fs::write(root.join("two"), "2").unwrap()).to_string();
    let name = registry.repository("ds01/base");
    let first = push(&one, &format!("{name}:v1"), Some(&config));
    let second = push(&two_image, &format!("{name}:v2"), Some(&config));
    assert_ne!(first, second);
    let stable = reference(&format!("{name}:stable"));
    let client = self::client(Some(config));
    for digest in [&first, &second, &second] {
        client.tag(&stable.repository(), digest, "stable").await.unwrap();
        assert_eq!(client.digest(&stable).await, Ok(Some(digest.clone())));
    }
    let missing = client.tag(&stable.repository(), &format!("sha256:{}", "0".repeat(64)), "stable").await;
    assert!(matches!(missing, Err(Error::Failed { .. })), "{missing:?}");
    let stranger = self::client(None).digest(&stable).await;
    assert!(matches!(stranger, Err(Error::Denied { .. })), "{stranger:?}");
    assert_eq!(client.digest(&stable).await, Ok(Some(second)));
}

#[tokio::test]
async fn a_registry_that_went_away_is_told_apart_from_an_image_that_did() {
    let mut registry = Registry::start();
    let image = reference(&registry.repository("x:v1"));
    let client = client(None);
    assert_eq!(client.digest(&image).await, Ok(None));
    registry.stop();
    let gone = client.digest(&image).await.unwrap_err();
    assert!(matches!(gone, Error::Unreachable { .. }), "{gone}");
}

#[tokio::test]
async fn two_hundred_images_are_asked_for_at_once_over_few_connections() {
    let (images, registry) = (Images::new("many"), Registry::start());
    let name = registry.repository("ds01/base");
    let digest = push(&images.base().to_string(), &format!("{name}:v0"), None);
    let setup = client(None);
    let repository = reference(&name).repository();
    let tags: Vec<_> = (0..100).map(|n| format!("v{n}")).collect();
    try_join_all(tags.iter().map(|tag| setup.tag(&repository, &digest, tag))).await.unwrap();
    // Half of them are there; each other one would be a repository of its own.
    let there = tags.iter().map(|tag| format!("{name}:{tag}"));
    let missing = (0..100).map(|n| registry.repository(&format!("ds01/missing{n}:v1")));
    let asked: Vec<_> = there.chain(missing).map(|text| reference(&text)).collect();
    let client = self::client(None);
    drop(setup);
    let start = std::time::Instant::now();
    let digests = try_join_all(asked.iter().map(|image| client.digest(image))).await.unwrap();
    let (took, connections) = (start.elapsed(), registry.connections());
    assert_eq!(digests.iter().flatten().filter(|found| **found == digest).count(), 100);
    assert!(took < std::time::Duration::from_secs(5), "{took:?}");
    assert!(connections <= 40, "{connections} connections");
}
