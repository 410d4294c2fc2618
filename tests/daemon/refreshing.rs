//! Fresh packages that are asked for: other content under another content tag.

use serde_json::Value;

use crate::client::docker;
use crate::stack::Stack;

/// Names of content tags by image.
fn content_tags(stack: &Stack) -> impl Fn(&str) -> String {
    let plan: Value = serde_json::from_str(&stack.run(&["plan", "--json"]).expect(0).out()).unwrap();
    move |name| {
        let image = plan["images"].as_array().unwrap().iter().find(|image| image["name"] == name);
        image.unwrap_or_else(|| panic!("no {name} in {plan:#}"))["content_tag"].as_str().unwrap().to_owned()
    }
}

/// What steps wrote that write another thing each time.
fn stamps(image: &str) -> String {
    docker(&["run", "--rm", image, "cat", "/stamp", "/own"])
}

#[test]
fn a_refreshed_image_has_other_content_under_another_tag_and_the_old_one_stays() {
    let stack = Stack::new();
    stack.spec("top:\n  base: busybox\napp:\n  depend_on: top");
    let step = |file: &str| {
        format!(
            "ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\nRUN date +%s%N > {file}; cat /proc/sys/kernel/random/uuid >> {file}\n"
        )
    };
    stack.write("images/top/Dockerfile", step("/stamp"));
    stack.write("images/app/Dockerfile", step("/own"));
    let person = stack.project("app", "  # mine\n");
    stack.build(&[]).expect(0);
    let project = format!("{}/{}", person.account, person.project);
    let old = content_tags(&stack);
    let before = stamps(&old("app"));

    let dry = stack.run(&["update", "--packages", "top", "--dry-run"]).expect(0);
    assert!(dry.out().starts_with("top  refreshed 20"), "{}", dry.out());
    assert!(dry.out().contains(&format!("to rebuild: 3 images (top, app, {project}); 1 project of 1 user")));
    assert!(stack.run(&["plan"]).expect(0).err().contains("nothing to build"), "nothing was written");
    let lock = || std::fs::read_to_string(stack.root().join("spec.lock")).unwrap_or_default();
    stack.run(&["update", "--packages", "top"]).expect(0);
    assert!(lock().contains("refreshed:\n  top: 20"), "{}", lock());
    let plan = stack.run(&["plan"]).expect(0).out();
    assert!(plan.contains("refreshed 20") && plan.contains("top is rebuilt"), "{plan}");
    assert_eq!(stack.build(&["--locked"]).code(), 0, "a stamp is no pin that could be missing");
    let new = content_tags(&stack);
    for name in ["top", "app", &project] {
        assert_ne!(new(name), old(name));
    }
    assert_ne!(stamps(&new("app")), before);
    assert_eq!(stamps(&old("app")), before, "the old tag is where it was");
    assert!(stack.build(&[]).expect(0).ended().is_empty());

    // For the project alone, in its own file.
    stack.run(&["update", "--packages", &project]).expect(0);
    stack.run(&["update", "--packages", &project]).expect(0);
    let file = std::fs::read_to_string(stack.root().join("projects/one.yml")).unwrap();
    assert!(
        file.contains("  # mine\n") && file.contains("  refreshed: \"20") && file.contains(".2\""),
        "{file}"
    );
    assert_eq!(stack.build(&[]).expect(0).built(), [project.as_str()]);
    let all = stack.run(&["update", "--packages", "--json"]).expect(0).out();
    let all: Value = serde_json::from_str(&all).unwrap();
    let names: Vec<_> = all["refreshed"].as_array().unwrap().iter().map(|one| &one["image"]).collect();
    assert_eq!(names, ["top", "app"], "every shared image");
    assert!(all["refreshed"][0]["new"].as_str().unwrap().ends_with(".2"), "{all}");
    let refused = stack.run(&["update", "--packages", "busybox", "nothing"]).expect(2).err();
    assert!(refused.contains("nothing"), "{refused}");
}
