//! Who holds GPUs, by containers of a real engine; the GPUs are a stand-in's.

use std::process::Command;

use serde_json::Value;

use crate::client::docker;
use crate::nvml::{Nvml, divided, gpu, mig, whole};
use crate::stack::{BASE, Stack};

/// Containers that are gone when the test ends.
struct Made(Vec<String>);

impl Made {
    /// Created, never started.
    fn add(&mut self, name: &str, args: &[&str]) {
        docker(&[&["create", "--name", name], args, &[BASE, "sh"]].concat());
        self.0.push(name.to_owned());
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for name in &self.0 {
            let _ = Command::new("docker").args(["rm", "-f", name]).output();
        }
    }
}

/// The holders of a GPU or an instance by name, owner and how, those of this test only.
fn holders(of: &Value, id: &str) -> Vec<(String, Value, String)> {
    let all = of["usage"]["holders"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mine = all.iter().filter(|holder| text(&holder["container"]).contains(id));
    mine.map(|holder| (text(&holder["container"]), holder["owner"].clone(), text(&holder["by"]))).collect()
}

#[test]
fn containers_of_every_kind_are_shown_as_holders() {
    let stack = Stack::new();
    let id = &stack.id;
    let nvml = Nvml::new(&whole(4));
    let mut made = Made(Vec::new());
    let name = |kind: &str| format!("{kind}-{id}");
    let label = |key: &str, value: &str| format!("{key}={value}");
    made.add(
        &name("ours"),
        &["--label", &label("ds01.gpu.uuids", &gpu(1)), "--label", "ds01.user=h.baker@hertie-school.lan"],
    );
    made.add(&name("old"), &["--label", &label("ds01.gpu.uuid", &gpu(2)), "--label", "aime.mlc.USER=ann"]);
    made.add(&name("foreign"), &["--gpus", &format!("\"device={}\"", gpu(3))]);
    made.add(&name("none"), &[]);
    made.add(&name("everything"), &["--privileged"]);

    let look = || -> Value {
        let mut command = stack.command(&["gpu", "list", "--json"]);
        let output = command.env("DS01_NVML_LIBRARY", nvml.library()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let seen = look();
    assert_eq!(seen["holders_unknown"], Value::Null);
    let of = |at: usize| holders(&seen["gpus"][at], id);
    assert_eq!(of(0), []);
    assert_eq!(of(1), [(name("ours"), "h.baker@hertie-school.lan".into(), "labels".to_owned())]);
    assert_eq!(of(2), [(name("old"), "ann".into(), "labels".to_owned())]);
    assert_eq!(of(3), [(name("foreign"), Value::Null, "request".to_owned())]);
    // It may use every GPU, and is said to; it holds none by that.
    let privileged = seen["privileged"].as_array().unwrap();
    assert!(privileged.iter().any(|one| one["container"] == name("everything").as_str()), "{privileged:?}");
    for at in 1..4 {
        assert_eq!(seen["gpus"][at]["usage"]["standing"], "held");
    }

    // The same machine divided anew: what they held is gone, and that is said.
    nvml.say(&divided(1));
    made.add(&name("slice"), &["--label", &label("ds01.gpu.uuids", &mig(0, 5))]);
    let seen = look();
    let gone: Vec<_> =
        seen["gone"].as_array().unwrap().iter().map(|gone| gone["container"].clone()).collect();
    assert!(gone.contains(&name("ours").into()) && gone.contains(&name("foreign").into()), "{gone:?}");
    let of = |at: usize| holders(&seen["gpus"][0]["instances"][at], id);
    assert_eq!((of(4).len(), of(5).len()), (0, 1));
}
