//! What one instruction sets and reads, and the variables that its words name.

use std::collections::BTreeMap;

use super::{Evaluation, ImageUse};
use crate::dockerfile::context::SourcePath;
use crate::dockerfile::expand::{SPECIAL, Value};
use crate::dockerfile::ignore;
use crate::dockerfile::steps::{Copy, FileSource, Mount};
use crate::model::problem::Place;
use crate::model::reference::Reference;

impl Evaluation<'_> {
    pub(super) fn arg(
        &mut self,
        args: &[(String, Option<String>)],
        variables: &mut Variables,
    ) -> Result<(), String> {
        for (name, default) in args {
            self.declared.insert(name.clone());
            let value = match (self.args.get(name), default, self.global.all.get(name)) {
                (Some(given), ..) => Some(given.clone()),
                (None, Some(default), _) => self.expand(default, variables)?,
                (None, None, Some(global)) => global.clone(),
                // Not set here; a base image may set it all the same.
                (None, None, None) => continue,
            };
            variables.all.insert(name.clone(), value);
        }
        Ok(())
    }

    pub(super) fn env(&self, pairs: &[(String, String)], variables: &mut Variables) -> Result<(), String> {
        let values: Result<Vec<_>, String> =
            pairs.iter().map(|(name, value)| Ok((name.clone(), self.expand(value, variables)?))).collect();
        for (name, value) in values? {
            variables.env.insert(name.clone(), value.clone());
            variables.all.insert(name, value);
        }
        Ok(())
    }

    pub(super) fn copy(
        &mut self,
        copy: &Copy,
        index: usize,
        place: &Place,
        variables: &Variables,
    ) -> Result<(), String> {
        if let Some(from) = &copy.from {
            return self.source(from, index, place);
        }
        let excluded = self.excluded(copy, variables)?;
        for source in &copy.sources {
            if copy.add && is_url(source) {
                continue;
            }
            let excluded = excluded.clone();
            match self.expand(source, variables)? {
                None => self.read(".".into())?,
                Some(source) if copy.add && is_url(&source) => {}
                Some(source) => {
                    let path = ignore::rooted(&source);
                    let named =
                        |element: &str| matches!(ignore::Element::new(element), Ok(ignore::Element::Name(_)));
                    if path != "." && path.split('/').all(named) {
                        self.sources.push((SourcePath::from(path.as_str()), place.clone()));
                    }
                    self.read(SourcePath { path, deep: copy.parents, excluded })?;
                }
            }
        }
        Ok(())
    }

    /// What `--exclude` leaves out. What is not sure to be left out counts:
    /// patterns that only the build knows or that begin with `/`, and all of
    /// them with `--parents`, which they are seen from elsewhere with.
    fn excluded(&self, copy: &Copy, variables: &Variables) -> Result<Vec<String>, String> {
        let mut excluded = Vec::new();
        for pattern in &copy.excluded {
            let Some(pattern) = self.expand(pattern, variables)? else { return Ok(Vec::new()) };
            ignore::Ignore::of(std::slice::from_ref(&pattern))
                .map_err(|cause| format!("`--exclude={pattern}` is no pattern: {cause}"))?;
            if !pattern.starts_with('/') {
                excluded.push(pattern);
            }
        }
        if copy.parents { Ok(Vec::new()) } else { Ok(excluded) }
    }

    pub(super) fn mount(
        &mut self,
        mount: &Mount,
        index: usize,
        place: &Place,
        variables: &Variables,
    ) -> Result<(), String> {
        if let Some(from) = &mount.from {
            return self.source(from, index, place);
        }
        let field = |names: &[&str]| {
            mount
                .fields
                .iter()
                .rev()
                .find(|(key, _)| names.contains(&key.as_str()))
                .map(|(_, value)| value.as_str())
        };
        let known = |names: &[&str]| self.expand(field(names).unwrap_or_default(), variables);
        let kind = known(&["type"])?.map(|kind| kind.to_lowercase());
        let source = known(&["source", "src"])?;
        match kind.as_deref() {
            Some("secret") => {
                let target = known(&["target", "dst", "destination"])?;
                let id = known(&["id"])?;
                let (Some(source), Some(id), Some(target)) = (source, id, target) else {
                    return Err("the secret's id hangs on a variable of the base image".into());
                };
                let name = target.rsplit('/').next().unwrap_or_default().to_owned();
                let id = [source, id, name].into_iter().find(|id| !id.is_empty());
                self.secrets.insert(id.ok_or("the secret has no id")?);
                Ok(())
            }
            Some("" | "bind") | None => {
                self.read(source.map_or(".".into(), |s| ignore::rooted(&s)).as_str().into())
            }
            Some(_) => Ok(()),
        }
    }

    /// A `from`: a stage, which `reach` has seen, or an image.
    fn source(&mut self, from: &FileSource, index: usize, place: &Place) -> Result<(), String> {
        let name = from.name.as_str();
        if name.contains('$') {
            return Err(format!(
                "`{name}`: variables do not work here; name a stage that is built `FROM {name}`"
            ));
        }
        if self.earlier(name, index)?.is_none() && name != "scratch" {
            let reference = Reference::parse(name)
                .map_err(|e| format!("`{name}` is neither a stage nor an image: {e}"))?;
            let token = from.token.clone();
            self.images.push(ImageUse { reference, place: place.clone(), from: false, token });
        }
        Ok(())
    }

    fn read(&mut self, source: SourcePath) -> Result<(), String> {
        let path = &source.path;
        for element in path.split('/') {
            ignore::Element::new(element).map_err(|cause| format!("`{path}` is no pattern: {cause}"))?;
        }
        self.readable.insert(source);
        Ok(())
    }
}

fn is_url(source: &str) -> bool {
    ["http://", "https://", "git://", "ssh://", "git@"].iter().any(|p| source.starts_with(p))
}

// The variables that a word of a Dockerfile can name.

/// Variables of a stage; `None`: only the build knows the value.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    pub(crate) all: BTreeMap<String, Option<String>>,
    /// Those set by ENV, which a stage FROM this one sees whatever its args are.
    pub(crate) env: BTreeMap<String, Option<String>>,
    /// True when no base image can have set others.
    pub(crate) complete: bool,
}

impl Variables {
    /// What a word sees.
    pub(crate) fn get(&self, name: &str) -> Value {
        match self.all.get(name) {
            Some(Some(value)) => Value::Set(value.clone()),
            None if self.complete || name.starts_with(SPECIAL) => Value::Unset,
            Some(None) | None => Value::Unknown,
        }
    }
}

/// The args that BuildKit gives every Dockerfile before the first FROM.
pub(super) fn platform_args(platform: &str) -> Vec<(String, String)> {
    let mut parts = platform.splitn(3, '/');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let (os, arch, variant) = (part(), part(), part());
    ["BUILD", "TARGET"]
        .iter()
        .flat_map(|side| {
            [
                (format!("{side}PLATFORM"), platform.to_owned()),
                (format!("{side}OS"), os.clone()),
                (format!("{side}ARCH"), arch.clone()),
                (format!("{side}VARIANT"), variant.clone()),
            ]
        })
        .collect()
}
