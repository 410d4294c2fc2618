//! Changes an image config (OCI image-spec `config.md`), keeping what it does
//! not know.

use serde_json::{Map, Value, json};

use crate::image::solve::ConfigChange;

/// Labels of ours that an image inherits say something about another image.
const OURS: &str = "ds01.";
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How the base itself was made: of no meaning for what is based on it.
const NOT_INHERITED: [&str; 4] =
    ["container", "container_config", "moby.buildkit.cache.v0", "moby.buildkit.buildinfo.v1"];

/// A layer that was added, for the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HistoryEntry {
    pub(super) made_by: String,
    /// RFC 3339; `None`: the engine fills in the present.
    pub(super) created: Option<String>,
}

/// An image config under change.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ImageConfig(Map<String, Value>);

impl ImageConfig {
    /// Reads JSON; nothing at all is the config of `scratch`.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() {
            return Ok(Self(Map::new()));
        }
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(map)) => Ok(Self(map)),
            Ok(_) => Err("the image config is no JSON object".into()),
            Err(e) => Err(format!("the image config is not JSON: {e}")),
        }
    }

    /// JSON, with keys in alphabetic order.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0).expect("strings and numbers become JSON")
    }

    /// `NAME=value` of every variable.
    pub(super) fn env(&self) -> Vec<String> {
        let env = self.0.get("config").and_then(|c| c.get("Env")).and_then(Value::as_array);
        env.into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    }

    /// Applies a change, and removes what is about the base only.
    pub(super) fn change(&mut self, change: &ConfigChange) {
        for key in NOT_INHERITED {
            self.0.remove(key);
        }
        if let Some(config) = &change.instead {
            self.0.insert("config".into(), Value::Object(config.clone()));
        }
        let env = changed_env(self.env(), change);
        let config = object(&mut self.0, "config");
        if !env.is_empty() {
            config.insert("Env".into(), json!(env));
        }
        let labels = object(config, "Labels");
        labels.retain(|key, _| !key.starts_with(OURS) && !change.drop_labels.contains(key));
        labels.extend(change.labels.iter().map(|(k, v)| (k.clone(), json!(v))));
        if labels.is_empty() {
            config.remove("Labels");
        }
        for (key, value) in [("User", &change.user), ("WorkingDir", &change.workdir)] {
            if let Some(value) = value {
                config.insert(key.into(), json!(value));
            }
        }
    }

    /// Takes out the ONBUILD instructions of an image that nothing is built
    /// FROM: without a Dockerfile they are not run, and one build later they
    /// would be. Gives how many there were.
    pub(super) fn drop_triggers(&mut self) -> usize {
        let config = self.0.get_mut("config").and_then(Value::as_object_mut);
        let triggers = config.and_then(|config| config.remove("OnBuild"));
        triggers.and_then(|triggers| triggers.as_array().map(Vec::len)).unwrap_or_default()
    }

    /// Adds history entries. `stored`: this is the config of an image in a
    /// store, whose layers are counted; a front end's config has none yet.
    pub(super) fn add_layers(&mut self, layers: &[HistoryEntry], stored: bool) {
        let before = self.layers().filter(|_| stored);
        let history = array(&mut self.0, "history");
        let described = history.iter().filter(|h| h.get("empty_layer") != Some(&Value::Bool(true))).count();
        // The engine goes by position: a base that describes too few would have
        // our entries describe its layers.
        if let Some(before) = before {
            history.extend((described..before).map(|_| json!({"created_by": "layer of the base"})));
        }
        for layer in layers {
            let mut entry = json!({"created_by": layer.made_by, "comment": "ds01-build"});
            if let Some(created) = &layer.created {
                entry["created"] = json!(created);
            }
            history.push(entry);
        }
        if stored {
            // The base's own time. Without it the engine takes the last entry's.
            self.0.remove("created");
        }
    }

    /// How many layers the history describes.
    pub(super) fn layer_count(&self) -> usize {
        let history = self.0.get("history").and_then(Value::as_array);
        let is_layer = |entry: &&Value| entry.get("empty_layer") != Some(&Value::Bool(true));
        history.into_iter().flatten().filter(is_layer).count()
    }

    /// Gives a time to everything that would get the present.
    pub(super) fn fix_times(&mut self, created: &str) {
        for entry in array(&mut self.0, "history") {
            if entry.get("created").is_none_or(Value::is_null) {
                entry["created"] = json!(created);
            }
        }
        self.0.insert("created".into(), json!(created));
    }

    fn layers(&self) -> Option<usize> {
        Some(self.0.get("rootfs")?.get("diff_ids")?.as_array()?.len())
    }
}

fn changed_env(mut env: Vec<String>, change: &ConfigChange) -> Vec<String> {
    for (name, value) in &change.env {
        set(&mut env, name, value);
    }
    if !change.path_first.is_empty() {
        let path = env.iter().find_map(|v| v.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
        let rest = path.split(':').filter(|p| !change.path_first.iter().any(|first| first == p));
        let path: Vec<&str> = change.path_first.iter().map(String::as_str).chain(rest).collect();
        let path = path.join(":");
        set(&mut env, "PATH", &path);
    }
    env
}

/// Sets one variable.
pub(super) fn set(env: &mut Vec<String>, name: &str, value: &str) {
    let text = format!("{name}={value}");
    match env.iter_mut().find(|v| v.split('=').next() == Some(name)) {
        Some(slot) => *slot = text,
        None => env.push(text),
    }
}

/// The object under `key`, made if it is missing or `null`.
fn object<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let slot = map.entry(key).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut().expect("just made")
}

/// The array under `key`, made if it is missing or `null`.
fn array<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Vec<Value> {
    let slot = map.entry(key).or_insert(Value::Null);
    if !slot.is_array() {
        *slot = Value::Array(Vec::new());
    }
    slot.as_array_mut().expect("just made")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: Value) -> ImageConfig {
        ImageConfig::parse(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn inherited_labels_of_ours_go_and_others_stay() {
        let mut config = parse(json!({"config": {"Labels": {"ds01.user": "bob", "org.x": "1"}}}));
        let labels = [("ds01.project".to_owned(), "thesis".to_owned())].into();
        config.change(&ConfigChange { labels, ..ConfigChange::default() });
        assert_eq!(config.0["config"]["Labels"], json!({"ds01.project": "thesis", "org.x": "1"}));
    }

    #[test]
    fn what_is_not_known_stays_and_what_is_only_the_bases_goes() {
        let mut config = parse(json!({
            "architecture": "amd64", "x": {"y": [1]}, "container_config": {"Labels": {"ds01.user": "bob"}},
            "moby.buildkit.cache.v0": "e30=", "config": {"Labels": null, "Cmd": ["sh"], "Z": 1}
        }));
        config.change(&ConfigChange::default());
        let left = json!({"architecture": "amd64", "x": {"y": [1]}, "config": {"Cmd": ["sh"], "Z": 1}});
        assert_eq!(Value::Object(config.0), left);
    }

    #[test]
    fn variables_are_set_in_place_and_path_gets_its_heads_once() {
        let mut config = parse(json!({"config": {"Env": ["A=1", "PATH=/x:/home/ada/bin:/y", "B=2"]}}));
        let change = ConfigChange {
            env: [("A".to_owned(), "3".to_owned()), ("HOME".to_owned(), "/home/ada".to_owned())].into(),
            path_first: vec!["/home/ada/bin".into()],
            ..ConfigChange::default()
        };
        config.change(&change);
        let env = ["A=3", "PATH=/home/ada/bin:/x:/y", "B=2", "HOME=/home/ada"];
        assert_eq!(config.env(), env);
        config.change(&change);
        assert_eq!(config.env(), env);
    }

    #[test]
    fn a_config_that_is_given_takes_the_place_of_the_whole_one_before_it_is_changed() {
        let mut config = parse(json!({
            "os": "linux",
            "config": {"Env": ["SECRET=x"], "Labels": {"ds01.user": "bob"}, "Hostname": "thesis"}
        }));
        let given = json!({"Env": ["A=1"], "Cmd": ["sh"], "Labels": {"org.x": "1", "ds01.image": "thesis"}});
        let labels = [("ds01.image".to_owned(), "thesis@saved".to_owned())].into();
        config.change(&ConfigChange {
            instead: given.as_object().cloned(),
            labels,
            ..ConfigChange::default()
        });
        let labels = json!({"ds01.image": "thesis@saved", "org.x": "1"});
        assert_eq!(
            Value::Object(config.0),
            json!({"os": "linux", "config": {"Env": ["A=1"], "Cmd": ["sh"], "Labels": labels}})
        );
    }

    #[test]
    fn an_image_without_a_path_gets_the_usual_one() {
        let mut config = ImageConfig::parse(b"").unwrap();
        config.change(&ConfigChange { path_first: vec!["/a".into()], ..ConfigChange::default() });
        assert_eq!(config.env(), [format!("PATH=/a:{DEFAULT_PATH}")]);
    }

    #[test]
    fn user_and_folder_are_replaced_only_when_given() {
        let mut config = parse(json!({"config": {"User": "root", "WorkingDir": "/srv"}}));
        config.change(&ConfigChange { user: Some("1:2".into()), ..ConfigChange::default() });
        assert_eq!(config.0["config"], json!({"User": "1:2", "WorkingDir": "/srv"}));
    }

    #[test]
    fn a_base_that_tells_too_little_of_its_layers_is_filled_up() {
        let mut config = parse(json!({
            "created": "2020-01-01T00:00:00Z",
            "rootfs": {"type": "layers", "diff_ids": ["sha256:a", "sha256:b"]},
            "history": [{"created_by": "x", "created": "2019-01-01T00:00:00Z"}, {"empty_layer": true}]
        }));
        config.add_layers(
            &[HistoryEntry { made_by: "user".into(), created: Some("2000-01-01T00:00:00Z".into()) }],
            true,
        );
        insta::assert_snapshot!(serde_json::to_string_pretty(&config.0).unwrap());
        config.fix_times("2000-01-01T00:00:00Z");
        let history = config.0["history"].as_array().unwrap();
        assert!(history.iter().all(|h| h["created"].is_string()), "{history:?}");
        assert_eq!(config.0["created"], "2000-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_not_built_from_a_dockerfile_keeps_no_onbuild() {
        let mut config = parse(json!({"config": {"OnBuild": ["COPY . /srv", "RUN x"], "Cmd": ["sh"]}}));
        assert_eq!(config.drop_triggers(), 2);
        assert_eq!(config.0["config"], json!({"Cmd": ["sh"]}));
        for none in [json!({"config": {"OnBuild": null}}), json!({"config": {}}), json!({})] {
            assert_eq!(parse(none).drop_triggers(), 0);
        }
    }

    #[test]
    fn a_broken_config_is_said_to_be_broken() {
        assert!(ImageConfig::parse(b"[1]").is_err());
        assert!(ImageConfig::parse(b"{").is_err());
    }
}
