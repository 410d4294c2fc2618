//! A stack in the DataHub style, built as it stands by the real engine.

use std::net::TcpListener;

use serde_json::Value;

use crate::client::{docker, inspect};
use crate::stack::{BASE, Run, Stack};

const IMAGES: [&str; 3] = ["base-notebook", "r-notebook", "ml-notebook"];

/// Its images are named after a registry at a port of this machine where
/// nobody listens, and which is free.
struct DataHub {
    stack: Stack,
    port: u16,
}

impl DataHub {
    fn new() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { stack: Stack::new(), port }
    }

    fn repository(&self, image: &str) -> String {
        format!("127.0.0.1:{}/{}", self.port, self.stack.repository(image))
    }

    /// The layout of such a checkout, with all that lies about in it.
    fn files(&self) {
        let stack = &self.stack;
        let (base, tag) = BASE.rsplit_once(':').unwrap();
        stack.write(
            "images/base-notebook/Dockerfile",
            format!("ARG BUSYBOX=latest\nFROM {base}:${{BUSYBOX}}\nARG PY_VER_SHORT\nRUN echo ${{PY_VER_SHORT}} > /version\nCOPY scripts/start.sh /start.sh\n"),
        );
        for image in &IMAGES[1..] {
            let parent = self.repository("base-notebook");
            let dockerfile = format!(
                "ARG BASE_TAG=latest\nFROM {parent}:${{BASE_TAG}}\nCOPY scripts/ /scripts/{image}/\n"
            );
            stack.write(&format!("images/{image}/Dockerfile"), dockerfile);
        }
        for image in IMAGES {
            stack.write(&format!("images/{image}/scripts/start.sh"), format!("#!/bin/sh\necho {image}\n"));
            for tests in ["test", "integration_tests", "workflow_tests", "manual_tests"] {
                stack.write(&format!("images/{image}/{tests}/test_it.py"), "assert True\n");
            }
            stack.write(&format!("images/{image}/README.md"), "# About\n");
        }
        stack.write("images/tests_common/test_all.py", "assert True\n");
        stack.write("images/conftest.py", "import os\n");
        let rules = r#"{"ChangeIgnore": ["README.md"], "BuildAll": ["tests_common", "spec.yml"]}"#;
        stack.write("images/change_ignore.json", rules);
        assert_eq!(tag, "1", "the spec says so");
    }

    fn run(&self, args: &[&str]) -> Run {
        self.stack.run(&[args, &["--spec", "images/spec.yml"]].concat())
    }

    fn planned(&self, args: &[&str]) -> Vec<(String, String)> {
        let plan: Value =
            serde_json::from_str(&self.run(&[&["plan", "--json"], args].concat()).expect(0).out()).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        plan["images"].as_array().unwrap().iter().map(|i| (text(&i["name"]), text(&i["action"]))).collect()
    }

    fn to_build(&self) -> Vec<String> {
        self.planned(&[]).into_iter().filter(|(_, action)| action == "build").map(|(name, _)| name).collect()
    }
}

fn as_it_stands() -> DataHub {
    let hub = DataHub::new();
    hub.files();
    let spec = format!(
        "root: base-notebook
images:
  base-notebook:
    image_name: {}
    build_args: {{BUSYBOX: \"1\", PY_VER_SHORT: \"3.11\"}}
    info_cmds: [PY_VER, PIP_LIST]
  r-notebook:
    image_name: {}
    depend_on: base-notebook
    integration_tests: true
    info_cmds: [PY_VER]
    prune: true
  ml-notebook:
    image_name: {}
    depend_on: base-notebook
    prepull: false
tag: {{prefix: \"2026.3\"}}
all_info_cmds:
  PY_VER: {{description: Python Version, command: python --version}}
  PIP_LIST: {{description: Packages, command: pip list}}
",
        hub.repository("base-notebook"),
        hub.repository("r-notebook"),
        hub.repository("ml-notebook")
    );
    hub.stack.write("images/spec.yml", spec);
    hub
}

#[test]
fn a_stack_is_checked_planned_and_built_without_an_edit() {
    let hub = as_it_stands();
    hub.run(&["check"]).expect(0);
    assert_eq!(hub.to_build(), IMAGES);
    hub.run(&["build"]).expect(0);
    assert!(hub.to_build().is_empty());
    let tag = format!("{}:2026.3-main", hub.repository("r-notebook"));
    let layers = |image: &str| inspect(image, "{{len .RootFS.Layers}}").parse::<usize>().unwrap();
    assert_eq!(layers(&tag), layers(BASE) + 3, "its own on its parent's two");
    assert_eq!(docker(&["run", "--rm", &tag, "cat", "/version"]), "3.11");
    assert_eq!(docker(&["run", "--rm", &tag, "sh", "/scripts/r-notebook/start.sh"]), "r-notebook");
}

#[test]
fn a_test_a_readme_or_the_old_rules_build_nothing_and_a_script_builds_its_image() {
    let hub = as_it_stands();
    hub.run(&["build"]).expect(0);
    for path in ["images/r-notebook/test/test_it.py", "images/tests_common/test_all.py", "images/conftest.py"]
    {
        hub.stack.write(path, "assert False\n");
    }
    hub.stack.write("images/base-notebook/README.md", "# Other\n");
    hub.stack.write("images/change_ignore.json", r#"{"ChangeIgnore": [], "BuildAll": ["r-notebook"]}"#);
    let spec = std::fs::read_to_string(hub.stack.root().join("images/spec.yml")).unwrap();
    hub.stack.write("images/spec.yml", format!("# a comment\n{spec}"));
    assert!(hub.to_build().is_empty());
    hub.stack.write("images/r-notebook/scripts/start.sh", "echo changed\n");
    assert_eq!(hub.to_build(), ["r-notebook"]);
    hub.stack.write("images/base-notebook/scripts/start.sh", "echo changed\n");
    assert_eq!(hub.to_build(), IMAGES);
}

#[test]
fn rules_that_have_no_effect_any_more_are_told_to_who_asks() {
    let hub = as_it_stands();
    let said = hub.run(&["check", "-v"]).expect(0).err();
    assert!(said.contains("images/change_ignore.json has no effect any more"), "{said}");
    let said = hub.run(&["check"]).expect(0).err();
    assert!(!said.contains("change_ignore"), "{said}");
    hub.stack.write("images/change_ignore.json", "{broken");
    hub.run(&["check"]).expect(0);
}

#[test]
fn the_host_of_image_name_is_not_asked_for_what_is_here() {
    let hub = as_it_stands();
    hub.run(&["build"]).expect(0);
    let registry = TcpListener::bind(("127.0.0.1", hub.port)).unwrap();
    registry.set_nonblocking(true).unwrap();
    assert!(hub.to_build().is_empty());
    hub.run(&["build"]).expect(0);
    let asked = registry.accept().map(|(_, from)| from);
    assert!(asked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "somebody asked");
}

#[test]
fn a_stack_of_the_older_form_is_planned_for_each_of_its_plans() {
    let hub = DataHub::new();
    hub.files();
    let spec = |plans: &str| {
        format!(
            "tag: {{prefix: \"2021.1\"}}
plans:
{plans}
images:
  base-notebook:
    image_name: {}
    dbuild_env:
      common: {{BUSYBOX: \"1\", PY_VER_SHORT: \"3.7\"}}
      PYTHON38: {{PY_VER_SHORT: \"3.8\"}}
  r-notebook: {{image_name: {}, depend_on: base-notebook, skip_plans: [PYTHON38]}}
  ml-notebook: {{image_name: {}, depend_on: base-notebook}}
",
            hub.repository("base-notebook"),
            hub.repository("r-notebook"),
            hub.repository("ml-notebook")
        )
    };
    hub.stack.write("images/spec.yml", spec("  PYTHON38: {tag_prefix: \"2021.1-38\"}"));
    hub.run(&["build"]).expect(0);
    let names: Vec<_> = hub.planned(&[]).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        ["base-notebook", "base-notebook@PYTHON38", "r-notebook", "ml-notebook", "ml-notebook@PYTHON38"]
    );
    let version = |prefix: &str| {
        let image = format!("{}:{prefix}-main", hub.repository("ml-notebook"));
        docker(&["run", "--rm", &image, "cat", "/version"])
    };
    assert_eq!((version("2021.1"), version("2021.1-38")), ("3.7".into(), "3.8".into()));
    hub.stack.write(
        "images/spec.yml",
        spec("  PYTHON38: {tag_prefix: \"2021.1-38\", tag_stable_postfix: stable}"),
    );
    let said = hub.run(&["check"]).expect(2).err();
    assert!(said.contains("`tag_stable_postfix` is not read any more"), "{said}");
    assert!(said.contains("the stable tag of a plan is"), "{said}");
    hub.stack.write("images/spec.yml", spec("  PYTHON38: {tag_prefix: 2021.10}"));
    let said = hub.run(&["check"]).expect(2).err();
    assert!(said.contains("put it in quotes: \"2021.10\""), "{said}");
}
