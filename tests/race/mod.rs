//! Many deploys at once, whole processes each, for what nobody may ever get
//! twice. For tests and for figures; the GPUs are a stand-in's.

pub mod engine;
pub mod real;
pub mod tap;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use engine::{Seen, StandIn};

use crate::nvml::{self, Nvml};

/// GPUs that are given whole, then those that are divided into seven.
pub const WHOLE: u32 = 8;
pub const DIVIDED: u32 = 2;
/// What a divided one is divided into.
const SLICES: u32 = 7;

/// Of the project and its owner.
pub const UID: u32 = 1_722_830_498;
pub const BASE: &str = "ds01-race/base:1";

/// The machine, the spec and what is deployed from it.
pub struct Race {
    folder: tempfile::TempDir,
    nvml: Nvml,
    program: PathBuf,
    url: String,
}

/// One deploy of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    Whole,
    Slice,
    Nothing,
}

/// What became of it.
#[derive(Debug)]
pub struct Ended {
    pub name: String,
    pub wants: Wants,
    /// `None`: killed.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
    pub since: Instant,
    pub took: Duration,
}

impl Race {
    /// On the engine at this address, which has the project's image.
    pub fn new(program: &str, url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir(at("work")).unwrap();
        let work = at("work");
        // Where an engine may not lift the limit on locked memory, each would be
        // made twice, and that is not what is looked at.
        let limits = "ulimits: {memlock: 65536}, gpu_equivalents: null, gpus_per_container: null, containers: null, memory: 64m, shm_size: 1m, cpus: 1";
        let spec = format!(
            "version: 1\ntag: {{prefix: t}}\nbases:\n  base: {{image: \"{BASE}\"}}\nimages: {{}}\n\
             limits:\n  groups:\n    race: {{{limits}, mounts: [\"{}\"]}}\n\
             users:\n  \"ann@example.org\": {{uid: {UID}, gid: {UID}, group: race}}\n\
             include: [projects/*.yml]\n",
            work.display()
        );
        std::fs::write(at("spec.yml"), spec).unwrap();
        std::fs::create_dir(at("projects")).unwrap();
        std::fs::write(at("projects/race.yml"), "race: {user: \"ann@example.org\", image: base}\n").unwrap();
        let nvml = Nvml::new(&machine());
        Self { folder, nvml, program: program.into(), url: url.to_owned() }
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn locks(&self) -> PathBuf {
        self.root().join("locks")
    }

    /// The program, as whoever runs this.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(self.root()).args(args);
        command
            .env("DOCKER_HOST", &self.url)
            .env("DS01_NVML_LIBRARY", self.nvml.library())
            .env("DS01_LOCK_DIR", self.locks())
            .env("XDG_STATE_HOME", self.root().join("state"))
            .env("XDG_CACHE_HOME", self.root().join("cache"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn deploy(&self, name: &str, wants: Wants) -> Command {
        let asked: &[&str] = match wants {
            Wants::Whole => &["--gpus", "1"],
            Wants::Slice => &["--mig", "1g.10gb"],
            Wants::Nothing => &["--cpu-only"],
        };
        let always = ["deploy", "race", "--name", name, "--workspace", "work", "--json", "--wait", "120"];
        self.command(&[&always, asked].concat())
    }

    /// All at once; `kills` says after how long each is killed, if at all.
    pub fn round(&self, all: &[Wants], kills: &[Option<Duration>]) -> Vec<Ended> {
        let begin = Instant::now();
        let start = |(n, wants): (usize, &Wants)| {
            let name = format!("n{n}");
            let child = self.deploy(&name, *wants).spawn().unwrap();
            (name, *wants, child, Instant::now())
        };
        let started: Vec<_> = all.iter().enumerate().map(start).collect();
        std::thread::scope(|scope| {
            let wait = |(at, (name, wants, child, since)): (usize, (String, Wants, Child, Instant))| {
                let kill = kills.get(at).copied().flatten().map(|after| begin + after);
                scope.spawn(move || ended(name, wants, child, since, kill))
            };
            let waits: Vec<_> = started.into_iter().enumerate().map(wait).collect();
            waits.into_iter().map(|wait| wait.join().unwrap()).collect()
        })
    }

    /// One after the other, until nothing is left to give: how many were given
    /// what.
    pub fn rest(&self, wants: Wants) -> usize {
        let mut given = 0;
        loop {
            let name = format!("rest{wants:?}{given}").to_lowercase();
            let one =
                ended(name.clone(), wants, self.deploy(&name, wants).spawn().unwrap(), Instant::now(), None);
            match one.code {
                Some(0) => given += 1,
                Some(5) => return given,
                _ => panic!("{one:?}"),
            }
        }
    }
}

fn ended(name: String, wants: Wants, mut child: Child, since: Instant, kill: Option<Instant>) -> Ended {
    if let Some(at) = kill {
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        let _ = child.kill();
    }
    let output = child.wait_with_output().unwrap();
    Ended {
        name,
        wants,
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        since,
        took: since.elapsed(),
    }
}

/// NVML's text for the machine of the race.
fn machine() -> String {
    let whole = nvml::whole(WHOLE);
    // The cards of another machine, with numbers after these.
    let divided = nvml::divided(WHOLE + DIVIDED);
    let later = divided.lines().filter(|line| {
        let card = line.split([' ', '.']).next().unwrap_or_default();
        card.parse().is_ok_and(|card: u32| card >= WHOLE)
    });
    let all = format!("machine gpus {}", WHOLE + DIVIDED);
    let whole = whole.replace(&format!("machine gpus {WHOLE}"), &all);
    whole + &later.map(|line| format!("{line}\n")).collect::<String>()
}

/// How many there are of what is wanted; as many as anybody wants where it is
/// nothing.
pub fn available(wants: Wants) -> usize {
    match wants {
        Wants::Whole => WHOLE as usize,
        Wants::Slice => (DIVIDED * SLICES) as usize,
        Wants::Nothing => usize::MAX,
    }
}

/// What one of several running containers has too.
pub fn twice(containers: &[Seen]) -> Vec<String> {
    let mut holders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in containers.iter().filter(|one| one.running) {
        for unit in &one.units {
            holders.entry(unit).or_default().push(&one.name);
        }
    }
    let twice = holders.into_iter().filter(|(_, names)| names.len() > 1);
    twice.map(|(unit, names)| format!("{unit}: {names:?}")).collect()
}

/// Fails unless a round in which nobody was killed gave exactly what there is.
pub fn check(ended: &[Ended], containers: &[Seen]) {
    assert_eq!(twice(containers), [""; 0]);
    for kind in [Wants::Whole, Wants::Slice, Wants::Nothing] {
        let mine: Vec<_> = ended.iter().filter(|one| one.wants == kind).collect();
        let good = mine.iter().filter(|one| one.code == Some(0)).count();
        let refused: Vec<_> = mine.iter().filter(|one| one.code != Some(0)).collect();
        assert_eq!(good, mine.len().min(available(kind)), "{kind:?}: {:#?}", refused.first());
        for one in refused {
            assert_eq!(one.code, Some(5), "{one:#?}");
        }
    }
    let names: BTreeSet<_> =
        containers.iter().filter(|one| one.running).map(|one| one.name.clone()).collect();
    assert_eq!(names.len(), ended.iter().filter(|one| one.code == Some(0)).count());
}

/// Fails unless all that killed deploys left can be had by the next ones.
pub fn check_killed(race: &Race, engine: &StandIn, ended: &[Ended]) {
    for one in ended {
        assert!(matches!(one.code, None | Some(0 | 5)), "{one:#?}");
    }
    assert_eq!(twice(&engine.containers()), [""; 0]);
    for kind in [Wants::Whole, Wants::Slice] {
        let whole = kind == Wants::Whole;
        let held = engine.containers();
        let held = held.iter().filter(|one| one.running).flat_map(|one| &one.units);
        let held = held.filter(|unit| unit.starts_with("GPU-") == whole).count();
        assert_eq!(race.rest(kind), available(kind) - held, "{kind:?}");
    }
    let left: Vec<_> = engine.containers().into_iter().filter(|one| !one.running).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(twice(&engine.containers()), [""; 0]);
}

/// An engine that runs nothing and has the project's image.
pub fn stand_in() -> StandIn {
    let labels = labels();
    let labels: Vec<_> = labels.iter().map(|(key, value)| (*key, value.as_str())).collect();
    StandIn::new(&[&image(), BASE], &labels)
}

/// The project's, with its owner's account.
fn image() -> String {
    format!("ds01-{UID}/race:latest")
}

fn labels() -> Vec<(&'static str, String)> {
    let pairs = [
        ("ds01.managed", "true"),
        ("ds01.image", "ann/race"),
        ("ds01.project", "race"),
        ("ds01.has_user_setup", "true"),
        ("ds01.user_id", &UID.to_string()),
        ("ds01.group_id", &UID.to_string()),
        ("ds01.username", "ann"),
    ];
    pairs.map(|(key, value)| (key, value.to_owned())).to_vec()
}

/// Numbers that look random and are the same in each run (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    /// What so many want: more than there is of both kinds in most rounds.
    pub fn wants(&mut self, processes: usize) -> Vec<Wants> {
        let whole = 1 + self.below(8);
        let one = |at: u64| match at {
            0 => Wants::Nothing,
            at if at <= whole => Wants::Whole,
            _ => Wants::Slice,
        };
        (0..processes).map(|_| one(self.below(10))).collect()
    }

    /// One in ten is killed, at any moment of a round that takes so long.
    pub fn kills(&mut self, processes: usize, round: Duration) -> Vec<Option<Duration>> {
        let after = |dice: &mut Self| Duration::from_micros(dice.below(round.as_micros() as u64 + 1));
        (0..processes).map(|_| (self.below(10) == 0).then(|| after(self))).collect()
    }
}
