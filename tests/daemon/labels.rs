//! `labels audit` on an engine that has a past. Others may have one there too,
//! so that only what a test made is looked for.

use std::process::Command;

use serde_json::Value;

use crate::client::docker;
use crate::stack::{BASE, Stack};

/// A container and an image of the old way, gone when the test ends.
struct Past {
    container: String,
    image: String,
}

impl Past {
    fn new(id: &str) -> Self {
        let past = Self {
            container: format!("labels-{id}._.4294967000"),
            image: format!("ds01-test-labels:{id}._.4294967000"),
        };
        let wrong = ["--label", "ds01.protected=yes", "--label", "ds01.gpu.slots=0"];
        let old =
            ["--label", "aime.mlc.NAME=labels", "--label", "aime.mlc=ann", "--label", "aime.mlc.USER=ann"];
        let create = ["create", "--name", &past.container];
        docker(&[&create[..], &old, &wrong, &[BASE, "sh"]].concat());
        docker(&["commit", "--change", "LABEL aime.mlc.FRAMEWORK=Pytorch", &past.container, &past.image]);
        past
    }
}

impl Drop for Past {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "-f", &self.container]).output();
        let _ = Command::new("docker").args(["rmi", "-f", &self.image]).output();
    }
}

fn of<'a>(rows: &'a Value, name: &str) -> Vec<&'a Value> {
    rows.as_array().unwrap().iter().filter(|row| row["name"] == name).collect()
}

#[test]
fn old_and_wrong_labels_are_found_without_a_spec() {
    let stack = Stack::new();
    let past = Past::new(&stack.id);
    let audit = stack.run(&["labels", "audit", "--json"]).expect(0).out();
    let audit: Value = serde_json::from_str(&audit).unwrap();

    let [container] = of(&audit["relying"], &past.container)[..] else { panic!("{audit:#}") };
    assert_eq!(container["carrier"], "container");
    assert_eq!(container["keys"], serde_json::json!(["aime.mlc.NAME", "aime.mlc.USER"]));
    assert_eq!(container["owner"], "ann", "the label is asked before the name");
    assert!(container["age_seconds"].as_u64().is_some_and(|age| age < 3600), "{container}");
    let [image] = of(&audit["relying"], &past.image)[..] else { panic!("{audit:#}") };
    assert!(image["keys"].as_array().unwrap().contains(&"aime.mlc.FRAMEWORK".into()), "{image}");
    assert_eq!(image["owner"], "uid 4294967000", "of an image the name is asked first");

    let key = |name: &str| {
        let keys = audit["keys"].as_array().unwrap();
        keys.iter().find(|key| key["key"] == name).unwrap_or_else(|| panic!("{name}: {audit:#}"))
    };
    assert!(key("aime.mlc.USER")["containers"].as_u64() >= Some(1));
    assert!(key("aime.mlc.FRAMEWORK")["images"].as_u64() >= Some(1));
    assert_eq!(key("aime.mlc.USER")["removable"], false);

    let wrong = |name| of(&audit["wrong"], name).iter().map(|row| row["key"].clone()).collect::<Vec<_>>();
    assert_eq!(wrong(&past.container), ["ds01.gpu.slots", "ds01.protected"]);
    assert_eq!(wrong(&past.image), ["ds01.gpu.slots", "ds01.protected"], "a container's keys on an image");

    let text = stack.run(&["labels", "audit"]).expect(0).out();
    assert!(text.contains(&format!("container {} (ann, ", past.container)), "{text}");
}

#[test]
fn containers_of_both_generations_are_listed_with_their_owner() {
    let stack = Stack::new();
    let past = Past::new(&stack.id);
    let listed = stack.run(&["container", "list", "--all", "--json"]).expect(0).out();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let [old] = of(&listed, &past.container)[..] else { panic!("{listed:#}") };
    assert_eq!((&old["owner"], &old["project"]), (&"ann".into(), &"labels".into()));
}
