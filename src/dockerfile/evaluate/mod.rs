//! What the stages that a target needs depend on, once variables are filled in.
//!
//! Follows BuildKit: FROM sees only args before the first FROM; a stage's
//! variables are its base's, then its own in order; a stage counts if the
//! target reaches it through FROM, COPY --from or a mount's `from`.

mod instructions;

use std::collections::{BTreeMap, BTreeSet};

use super::context::SourcePath;
use super::expand::expand;
use super::steps::{Instruction, Step};
use super::{ParsedDockerfile, Stage, Token, Triggers};
use crate::model::problem::{Place, Problem};
use crate::model::reference::Reference;
use instructions::{Variables, platform_args};

/// What a Dockerfile is evaluated with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inputs<'a> {
    /// The stage to build; `None`: the last.
    pub(crate) target: Option<&'a str>,
    /// Build args, those of [`base_args`](super::base_args) included.
    pub(crate) args: &'a BTreeMap<String, String>,
    /// OCI platform: `linux/amd64`, `linux/arm/v7`.
    pub(crate) platform: &'a str,
    /// What the images left that stages are built FROM.
    pub(crate) triggers: &'a Triggers,
}

/// An image that an instruction names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageUse {
    pub(crate) reference: Reference,
    /// The instruction.
    pub(crate) place: Place,
    /// A stage is built FROM it; false: files are copied from it.
    pub(crate) from: bool,
    /// Where it is named there.
    pub(super) token: Token,
}

/// What the target is based on, through the stages it is built FROM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BuildBase {
    Image(ImageUse),
    /// `FROM scratch`, here.
    Scratch(Place),
}

/// What building the target depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Evaluated {
    pub(crate) base: BuildBase,
    /// Images of all FROM, COPY --from and mounts that count, in order.
    pub(crate) images: Vec<ImageUse>,
    /// Paths of the context that some instruction can read.
    pub(crate) readable: BTreeSet<SourcePath>,
    /// Those that have to be there, since no wildcard is in them.
    pub(crate) sources: Vec<(SourcePath, Place)>,
    /// Ids of the secrets that RUN steps mount.
    pub(crate) secrets: BTreeSet<String>,
    /// Names of all ARG instructions that count, also those without effect.
    pub(crate) declared_args: BTreeSet<String>,
    /// What the target leaves for those that are built FROM it.
    pub(super) onbuild: Vec<Step>,
}

impl ParsedDockerfile {
    /// Fills in the variables and follows the stages.
    ///
    /// # Errors
    /// Everything that is wrong with what counts for the target.
    pub(crate) fn evaluate(&self, inputs: &Inputs<'_>) -> Result<Evaluated, Vec<Problem>> {
        let target = self.target(inputs.target).map_err(|p| vec![p])?;
        let mut evaluation = Evaluation::new(self, inputs);
        evaluation.global_args();
        evaluation.bases(target);
        let reached = evaluation.reach(target);
        for stage in 0..=target {
            if reached.contains(&stage) {
                evaluation.stage(stage);
            }
        }
        evaluation.finish(target)
    }

    fn target(&self, name: Option<&str>) -> Result<usize, Problem> {
        let Some(name) = name else { return Ok(self.stages.len() - 1) };
        let is = |s: &Stage| s.name.as_deref() == Some(name.to_lowercase().as_str());
        self.stages.iter().rposition(is).ok_or_else(|| {
            let names: Vec<&str> = self.stages.iter().filter_map(Stage::name).collect();
            let help = match names[..] {
                [] => "no stage has a name; write `FROM image AS name`".to_owned(),
                _ => format!("the stages are: {}", names.join(", ")),
            };
            let last = &self.stages[self.stages.len() - 1];
            Problem::new(format!("the Dockerfile has no stage `{name}`")).at(&last.place).help(help)
        })
    }
}

/// Where a stage begins.
#[derive(Clone, Debug)]
enum Base {
    Stage(usize),
    Image(Reference),
    Scratch,
    /// Its FROM is wrong; the problem is kept until the stage counts.
    Broken(Problem),
}

struct Evaluation<'a> {
    facts: &'a ParsedDockerfile,
    args: &'a BTreeMap<String, String>,
    triggers: &'a Triggers,
    global: Variables,
    bases: Vec<Base>,
    after: BTreeMap<usize, Variables>,
    problems: Vec<Problem>,
    images: Vec<ImageUse>,
    readable: BTreeSet<SourcePath>,
    sources: Vec<(SourcePath, Place)>,
    secrets: BTreeSet<String>,
    declared: BTreeSet<String>,
}

impl<'a> Evaluation<'a> {
    fn new(facts: &'a ParsedDockerfile, inputs: &Inputs<'a>) -> Self {
        let all = platform_args(inputs.platform)
            .into_iter()
            .map(|(name, value)| {
                let value = inputs.args.get(&name).cloned().unwrap_or(value);
                (name, Some(value))
            })
            .collect();
        Self {
            facts,
            args: inputs.args,
            triggers: inputs.triggers,
            global: Variables { all, env: BTreeMap::new(), complete: true },
            bases: Vec::new(),
            after: BTreeMap::new(),
            problems: Vec::new(),
            images: Vec::new(),
            readable: BTreeSet::new(),
            sources: Vec::new(),
            secrets: BTreeSet::new(),
            declared: BTreeSet::new(),
        }
    }

    fn expand(&self, word: &str, variables: &Variables) -> Result<Option<String>, String> {
        expand(word, self.facts.escape, &|name| variables.get(name))
    }

    fn global_args(&mut self) {
        for step in &self.facts.global_args {
            let Instruction::Arg(args) = &step.kind else { continue };
            for (name, default) in args {
                self.declared.insert(name.clone());
                let value = match (self.args.get(name), default) {
                    (Some(given), _) => Ok(Some(given.clone())),
                    (None, Some(default)) => self.expand(default, &self.global),
                    (None, None) => continue,
                };
                match value {
                    Ok(value) => {
                        self.global.all.insert(name.clone(), value);
                    }
                    Err(cause) => self.problems.push(broken_word(&cause, &step.place)),
                }
            }
        }
    }

    /// What each stage up to the target is built FROM.
    fn bases(&mut self, target: usize) {
        for index in 0..=target {
            let base = self.base(index).unwrap_or_else(Base::Broken);
            self.bases.push(base);
        }
    }

    fn base(&self, index: usize) -> Result<Base, Problem> {
        let stage = &self.facts.stages[index];
        let name = self
            .expand(&stage.image, &self.global)
            .map_err(|cause| broken_word(&cause, &stage.place))?
            .unwrap_or_default();
        if name == "scratch" {
            return Ok(Base::Scratch);
        }
        let earlier = &self.facts.stages[..index];
        if let Some(earlier) = earlier.iter().rposition(|s| s.name.as_deref() == Some(name.as_str())) {
            return Ok(Base::Stage(earlier));
        }
        Reference::parse(&name).map(Base::Image).map_err(|cause| {
            let message = format!("FROM gives `{name}`, which is no image reference: {cause}");
            Problem::new(message).at(&stage.place).help(from_help(&stage.image))
        })
    }

    /// The stages that the target needs, itself included.
    fn reach(&self, target: usize) -> BTreeSet<usize> {
        let mut reached = BTreeSet::from([target]);
        // A stage needs earlier ones only, so one pass downwards finds all.
        for index in (0..=target).rev() {
            if !reached.contains(&index) {
                continue;
            }
            if let Base::Stage(base) = self.bases[index] {
                reached.insert(base);
            }
            for step in self.steps(index) {
                reached.extend(sources(&step.kind).filter_map(|from| self.earlier(from, index).ok()?));
            }
        }
        reached
    }

    /// A stage's own steps, behind those that its base left for it (ONBUILD).
    fn steps(&self, index: usize) -> Vec<Step> {
        let left = match &self.bases[index] {
            Base::Stage(base) => self.onbuild(*base),
            Base::Image(reference) => self.triggers.of(reference).to_vec(),
            Base::Scratch | Base::Broken(_) => Vec::new(),
        };
        left.into_iter().chain(self.facts.stages[index].steps.iter().cloned()).collect()
    }

    /// What a stage leaves for those that are built FROM it; what its own base
    /// left is used up.
    fn onbuild(&self, index: usize) -> Vec<Step> {
        let steps = self.facts.stages[index].steps.iter();
        let left = steps.filter_map(|step| match &step.kind {
            Instruction::Onbuild(kind) => Some(Step { kind: (**kind).clone(), place: step.place.clone() }),
            _ => None,
        });
        left.collect()
    }

    /// The stage that a `from` names; `Ok(None)`: it names an image.
    fn earlier(&self, from: &str, index: usize) -> Result<Option<usize>, String> {
        let stages = &self.facts.stages;
        let found = match from.parse::<usize>() {
            Ok(number) => Some(number),
            Err(_) => stages.iter().rposition(|s| s.name.as_deref() == Some(from.to_lowercase().as_str())),
        };
        match found {
            Some(number) if number >= index => Err(format!("stage `{from}` does not come before this one")),
            found => Ok(found),
        }
    }

    fn stage(&mut self, index: usize) {
        let Stage { place, token, .. } = &self.facts.stages[index];
        let mut variables = match self.bases[index].clone() {
            Base::Stage(base) => {
                let mut inherited = self.after.get(&base).cloned().unwrap_or_default();
                inherited.all.extend(inherited.env.clone());
                inherited
            }
            Base::Image(reference) => {
                self.images.push(ImageUse {
                    reference,
                    place: place.clone(),
                    from: true,
                    token: token.clone(),
                });
                Variables::default()
            }
            Base::Scratch => Variables::default(),
            Base::Broken(problem) => {
                self.problems.push(problem);
                Variables::default()
            }
        };
        for step in self.steps(index) {
            self.step(&step, index, &mut variables);
        }
        self.after.insert(index, variables);
    }

    fn step(&mut self, step: &Step, index: usize, variables: &mut Variables) {
        let done = match &step.kind {
            Instruction::Arg(args) => self.arg(args, variables),
            Instruction::Env(pairs) => self.env(pairs, variables),
            Instruction::Copy(copy) => self.copy(copy, index, &step.place, variables),
            Instruction::Run { mounts } => {
                mounts.iter().try_for_each(|m| self.mount(m, index, &step.place, variables))
            }
            Instruction::Foreign => {
                self.readable.insert(".".into());
                Ok(())
            }
            Instruction::Onbuild(_) | Instruction::Other => Ok(()),
        };
        if let Err(cause) = done {
            self.problems.push(broken_word(&cause, &step.place));
        }
    }

    fn finish(self, target: usize) -> Result<Evaluated, Vec<Problem>> {
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        let mut bottom = target;
        while let Base::Stage(base) = self.bases[bottom] {
            bottom = base;
        }
        let Stage { place, token, .. } = self.facts.stages[bottom].clone();
        let base = match &self.bases[bottom] {
            Base::Image(reference) => {
                BuildBase::Image(ImageUse { reference: reference.clone(), place, from: true, token })
            }
            _ => BuildBase::Scratch(place),
        };
        let onbuild = self.onbuild(target);
        let all = SourcePath::from(".");
        let readable = if self.readable.contains(&all) { [all].into() } else { self.readable };
        Ok(Evaluated {
            base,
            images: self.images,
            readable,
            sources: self.sources,
            secrets: self.secrets,
            declared_args: self.declared,
            onbuild,
        })
    }
}

/// The `from`s of a step.
fn sources(kind: &Instruction) -> impl Iterator<Item = &str> {
    let (copy, mounts) = match kind {
        Instruction::Copy(copy) => (copy.from.as_ref(), &[][..]),
        Instruction::Run { mounts } => (None, mounts.as_slice()),
        _ => (None, &[][..]),
    };
    copy.into_iter().chain(mounts.iter().filter_map(|m| m.from.as_ref())).map(|from| from.name.as_str())
}

fn broken_word(cause: &str, place: &Place) -> Problem {
    Problem::new(cause).at(place).help("mend this instruction; BuildKit would refuse it too")
}

fn from_help(image: &str) -> String {
    if image.contains('$') {
        "declare each variable with ARG before the first FROM, and give it a value: \
         a default, or `build_args` in the spec"
            .into()
    } else {
        "write an image like `debian:bookworm-slim`, or the name of a stage above".into()
    }
}
