//! Turns BuildKit's progress stream into events, and remembers what a failure
//! is explained with.
//!
//! What a step prints goes to terminals and logs, and pip and apt print where
//! they fetch from. Credentials that a build was given are taken out of it
//! here, before anybody sees it. Decides nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex, VertexLog, VertexStatus};
use bollard_buildkit_proto::pb;

use super::job::Job;
use crate::image::solve::Solve;
use crate::model::event::{Event, Events, Excerpt, Failure, StepState};
use crate::model::names::NodeName;

/// Lines of a step's output that are kept.
const TAIL: usize = 20;

/// How BuildKit calls the step that asks for another image's cache. Without
/// it the build goes on.
const IMPORT: &str = "importing cache manifest from ";

/// What is known of a job so far.
#[derive(Debug, Default)]
pub(super) struct JobProgress {
    steps: HashMap<String, StepProgress>,
    failed: Option<String>,
    /// Which Dockerfile lines the steps come from, once that is known.
    pub(super) source: Option<pb::Source>,
}

/// One step.
#[derive(Debug, Default)]
pub(super) struct StepProgress {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) error: String,
    running: bool,
    lines: VecDeque<String>,
    /// What has no newline yet, of each output stream by itself.
    partial: BTreeMap<i64, String>,
    /// What may be the beginning of a hidden text, of each stream by itself.
    held: BTreeMap<i64, Vec<u8>>,
}

impl JobProgress {
    /// The first step that failed by itself.
    pub(super) fn failed(&self) -> Option<&StepProgress> {
        self.failed.as_ref().and_then(|id| self.steps.get(id))
    }
}

impl StepProgress {
    /// The last lines of its output.
    pub(super) fn output(&self) -> Vec<String> {
        let partial = self.partial.values().filter(|p| !p.is_empty());
        let lines: Vec<_> = self.lines.iter().chain(partial).cloned().collect();
        lines[lines.len().saturating_sub(TAIL)..].to_vec()
    }

    fn log(&mut self, stream: i64, text: &str) {
        let partial = self.partial.entry(stream).or_default();
        for piece in text.split_inclusive('\n') {
            partial.push_str(piece.trim_end_matches('\n'));
            if piece.ends_with('\n') {
                let line = std::mem::take(partial);
                // A progress bar overwrites its line; what stands last counts.
                let line = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default().to_owned();
                self.lines.push_back(line);
                if self.lines.len() > TAIL {
                    self.lines.pop_front();
                }
            }
        }
    }
}

/// Reads a job's progress and sends it on as events.
pub(super) struct ProgressReader<'a> {
    node: &'a NodeName,
    events: &'a Events,
    hidden: Redactor,
    progress: Mutex<JobProgress>,
}

impl<'a> ProgressReader<'a> {
    pub(super) fn new(node: &'a NodeName, events: &'a Events) -> Self {
        Self { node, events, hidden: Redactor::default(), progress: Mutex::default() }
    }

    /// The same, with texts that are never shown.
    pub(super) fn hiding(self, hidden: Redactor) -> Self {
        Self { hidden, ..self }
    }

    /// What is known so far.
    pub(super) fn progress(&self) -> MutexGuard<'_, JobProgress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads until the job ends. Progress that cannot be read is no failure:
    /// the job itself says how it went.
    pub(super) async fn follow(&self, job: &Job) {
        let Ok(mut stream) = job.progress().await else { return };
        while let Ok(Some(response)) = stream.message().await {
            self.take(response);
        }
    }

    fn take(&self, response: StatusResponse) {
        let mut progress = self.progress();
        for mut vertex in response.vertexes {
            vertex.error = self.hidden.text(&vertex.error);
            vertex.name = self.hidden.text(&vertex.name);
            self.vertex(&mut progress, vertex);
        }
        for status in response.statuses {
            self.transfer(status);
        }
        for log in response.logs {
            self.log(&mut progress, log);
        }
        for warning in response.warnings {
            let text = self.hidden.bytes(&warning.short);
            self.send(Event::Warning { image: Some(self.node.clone()), text });
        }
    }

    fn vertex(&self, progress: &mut JobProgress, vertex: Vertex) {
        let step = progress.steps.entry(vertex.digest.clone()).or_default();
        step.id.clone_from(&vertex.digest);
        step.name.clone_from(&vertex.name);
        let Some(started) = vertex.started else { return };
        if !step.running {
            step.running = true;
            self.step(step, StepState::Started);
        }
        let Some(completed) = vertex.completed else { return };
        step.running = false;
        for (stream, text) in std::mem::take(&mut step.held) {
            self.report(step, &vertex.digest, stream, self.hidden.bytes(&text));
        }
        let import = vertex.name.strip_prefix(IMPORT).filter(|_| !vertex.error.is_empty());
        if vertex.error.is_empty() || import.is_some() {
            let millis = millis(&started, &completed);
            self.step(step, StepState::Done { cached: vertex.cached, millis });
            if let Some(image) = import {
                let text = format!("the cache of {image} is not used: {}", vertex.error);
                self.send(Event::Warning { image: Some(self.node.clone()), text });
            }
            return;
        }
        step.error.clone_from(&vertex.error);
        self.step(step, StepState::Failed { message: vertex.error.clone() });
        // A cancelled step only shows that another one failed.
        if !vertex.error.contains("context canceled") {
            progress.failed.get_or_insert(vertex.digest);
        }
    }

    fn step(&self, step: &StepProgress, state: StepState) {
        let (id, name) = (step.id.clone(), step.name.clone());
        self.send(Event::Step { image: self.node.clone(), id, name, state });
    }

    fn transfer(&self, status: VertexStatus) {
        let bytes = |n: i64| u64::try_from(n).unwrap_or(0);
        let (current, total) = (bytes(status.current), bytes(status.total));
        // The engine also shows one-off actions this way, without amounts.
        if current > 0 || total > 0 {
            let (step, what) = (status.vertex, self.hidden.text(&status.id));
            self.send(Event::Transfer { image: self.node.clone(), step, what, current, total });
        }
    }

    fn log(&self, progress: &mut JobProgress, log: VertexLog) {
        let step = progress.steps.entry(log.vertex.clone()).or_default();
        let mut output = step.held.remove(&log.stream).unwrap_or_default();
        output.extend(log.msg);
        let held = if step.running { self.hidden.cut(&mut output) } else { Vec::new() };
        if !held.is_empty() {
            step.held.insert(log.stream, held);
        }
        let text = self.hidden.bytes(&output);
        self.report(step, &log.vertex, log.stream, text);
    }

    fn report(&self, step: &mut StepProgress, id: &str, stream: i64, text: String) {
        if !text.is_empty() {
            step.log(stream, &text);
            self.send(Event::Log { image: self.node.clone(), step: id.to_owned(), text });
        }
    }

    fn send(&self, event: Event) {
        // Nobody listens any more: then nobody misses it.
        let _ = self.events.send(event);
    }
}

fn millis(from: &Timestamp, to: &Timestamp) -> u64 {
    let millis = |t: &Timestamp| t.seconds * 1000 + i64::from(t.nanos) / 1_000_000;
    u64::try_from(millis(to) - millis(from)).unwrap_or(0)
}

/// What stands in the place of a hidden text.
const INSTEAD: &str = "****";

/// Shorter parts of a proxy's login are left: they would blot out words.
const SHORTEST: usize = 4;

/// Texts that are never shown, sorted: a secret may have thousands of lines, and
/// so those that go on as an output does are found without a look at the others.
#[derive(Debug, Default)]
pub(super) struct Redactor(Vec<Vec<u8>>);

impl Redactor {
    /// Those of a solve: of its secrets, and of its proxies' addresses.
    pub(super) fn of(solve: &Solve) -> Self {
        let secrets = solve.secrets.values().flat_map(|secret| secret.hidden.iter().cloned());
        let proxies = solve.proxy.values().flat_map(|address| login(address)).map(String::into_bytes);
        Self::new(secrets.chain(proxies))
    }

    fn new(texts: impl Iterator<Item = Vec<u8>>) -> Self {
        let texts: BTreeSet<_> = texts.filter(|text| !text.is_empty()).collect();
        Self(texts.into_iter().collect())
    }

    pub(super) fn text(&self, text: &str) -> String {
        self.bytes(text.as_bytes())
    }

    /// What may be shown of an output.
    fn bytes(&self, output: &[u8]) -> String {
        let mut shown = Vec::with_capacity(output.len());
        let mut from = 0;
        for hidden in self.find(output).0 {
            shown.extend_from_slice(&output[from..hidden.start]);
            shown.extend_from_slice(INSTEAD.as_bytes());
            from = hidden.end;
        }
        shown.extend_from_slice(&output[from..]);
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// Cuts off the end of an output that goes on, from where it may become
    /// something hidden.
    fn cut(&self, output: &mut Vec<u8>) -> Vec<u8> {
        let (found, open) = self.find(output);
        let around = found.iter().find(|hidden| hidden.contains(&open));
        output.split_off(around.map_or(open, |hidden| hidden.start))
    }

    /// Where hidden texts stand, those that overlap as one; and where one
    /// begins that the end of the output cuts off.
    fn find(&self, output: &[u8]) -> (Vec<Range<usize>>, usize) {
        let mut found: Vec<Range<usize>> = Vec::new();
        let mut open = output.len();
        for start in 0..output.len() {
            let mut texts = self.0.as_slice();
            let mut end = None;
            for (at, byte) in output[start..].iter().enumerate() {
                let below = texts.partition_point(|text| text.get(at) < Some(byte));
                let equal = texts[below..].partition_point(|text| text.get(at) == Some(byte));
                texts = &texts[below..below + equal];
                match texts.first() {
                    Some(text) if text.len() == at + 1 => end = Some(start + at + 1),
                    Some(_) => {}
                    None => break,
                }
            }
            if texts.last().is_some_and(|text| text.len() > output.len() - start) {
                open = open.min(start);
            }
            let Some(end) = end else { continue };
            match found.last_mut() {
                Some(last) if start < last.end => last.end = last.end.max(end),
                _ => found.push(start..end),
            }
        }
        (found, open)
    }

    pub(super) fn failure(&self, failure: Failure) -> Failure {
        let hide = |text: Option<String>| text.map(|text| self.text(&text));
        Failure {
            message: self.text(&failure.message),
            step: hide(failure.step),
            help: hide(failure.help),
            output: failure.output.iter().map(|line| self.text(line)).collect(),
            excerpt: failure.excerpt.map(|excerpt| Excerpt { text: self.text(&excerpt.text), ..excerpt }),
            ..failure
        }
    }
}

/// User and password of an address, together and alone.
fn login(address: &str) -> Vec<String> {
    let host = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    let Some((login, _)) = host.rsplit_once('@') else { return Vec::new() };
    let parts = login.splitn(2, ':').filter(|part| part.len() >= SHORTEST);
    parts.chain([login]).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    fn vertex(id: &str, started: Option<Timestamp>, completed: Option<Timestamp>, error: &str) -> Vertex {
        let (digest, name) = (id.to_owned(), format!("RUN {id}"));
        Vertex { digest, name, started, completed, error: error.into(), ..Default::default() }
    }

    fn states(vertexes: Vec<Vertex>) -> (Vec<StepState>, Option<String>) {
        let (events, mut received) = tokio::sync::mpsc::unbounded_channel();
        let node = NodeName::new("n");
        let reader = ProgressReader::new(&node, &events);
        for vertex in vertexes {
            reader.take(StatusResponse { vertexes: vec![vertex], ..Default::default() });
        }
        let failed = reader.progress().failed().map(|s| s.name.clone());
        let mut states = Vec::new();
        while let Ok(Event::Step { state, .. }) = received.try_recv() {
            states.push(state);
        }
        (states, failed)
    }

    #[test]
    fn a_step_is_told_once_for_each_change() {
        let updates = vec![
            vertex("a", None, None, ""),
            vertex("a", at(1), None, ""),
            vertex("a", at(1), None, ""),
            vertex("a", at(1), at(3), ""),
        ];
        let done = StepState::Done { cached: false, millis: 2000 };
        assert_eq!(states(updates), (vec![StepState::Started, done], None));
    }

    #[test]
    fn a_cancelled_step_is_not_the_one_that_failed() {
        let updates = vec![
            vertex("a", at(1), at(2), "context canceled"),
            vertex("b", at(1), at(2), "exit code: 1"),
            vertex("c", at(1), at(2), "exit code: 2"),
        ];
        assert_eq!(states(updates).1.as_deref(), Some("RUN b"));
    }

    #[test]
    fn a_cache_that_cannot_be_imported_is_no_failure_of_a_step() {
        let name = format!("{IMPORT}reg.local/x:stable");
        let import = Vertex { name, ..vertex("a", at(1), at(2), "not found") };
        let (report, failed) = states(vec![import]);
        let done = StepState::Done { cached: false, millis: 1000 };
        assert_eq!((report, failed), (vec![StepState::Started, done], None));
    }

    #[test]
    fn the_last_lines_are_kept_and_a_progress_bar_counts_once() {
        let mut step = StepProgress::default();
        step.log(1, "10%\r50%\r100%\r\nsplit ");
        step.log(2, "of another stream\n");
        step.log(1, "line\nno newline at the end");
        assert_eq!(step.output(), ["100%", "of another stream", "split line", "no newline at the end"]);
        for n in 0..50 {
            step.log(1, &format!("\n{n}"));
        }
        let output = step.output();
        assert_eq!((output.len(), output[0].as_str(), output[19].as_str()), (20, "30", "49"));
    }

    fn hidden(texts: &[&str]) -> Redactor {
        Redactor::new(texts.iter().map(|text| text.as_bytes().to_vec()))
    }

    /// What is shown of an output that comes in these pieces.
    fn shown<'a>(hidden: &Redactor, pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
        let (mut shown, mut held) = (String::new(), Vec::new());
        for piece in pieces {
            held.extend_from_slice(piece);
            let end = hidden.cut(&mut held);
            shown += &hidden.bytes(&held);
            held = end;
        }
        shown + &hidden.bytes(&held)
    }

    #[test]
    fn a_proxys_login_is_hidden_whole_and_in_parts() {
        assert_eq!(login("http://jane:secret@proxy:3128/"), ["jane", "secret", "jane:secret"]);
        assert_eq!(login("jo:p@proxy:3128"), ["jo:p"]);
        assert!(login("http://proxy:3128/a@b").is_empty());
    }

    #[test]
    fn a_hidden_text_is_found_also_where_it_comes_in_pieces() {
        let pieces = ["from jane:", "sec", "ret@host, janet\n", "secre", "cy jane"].map(str::as_bytes);
        assert_eq!(shown(&hidden(&["jane:secret", "secret"]), pieces), "from ****@host, janet\nsecrecy jane");
        let umlaut = "gehëim".as_bytes();
        assert_eq!(shown(&hidden(&["gehëim"]), [&b"a "[..], &umlaut[..4], &umlaut[4..]]), "a ****");
    }

    #[test]
    fn hidden_texts_that_overlap_or_begin_alike_leave_nothing_of_each_other() {
        let all = hidden(&["abcdef", "defghi", "defghi-long"]);
        for (output, masked) in
            [("1abcdefghi2", "1****2"), ("abcdefghi-long", "****"), ("defghi-lon!", "****-lon!")]
        {
            for cut in 0..output.len() {
                let pieces = [&output.as_bytes()[..cut], &output.as_bytes()[cut..]];
                assert_eq!(shown(&all, pieces), masked, "{output} cut at {cut}");
            }
        }
    }

    #[test]
    fn thousands_of_hidden_lines_cost_little() {
        let lines: Vec<String> = (0..20_000).map(|n| format!("{n:064}")).collect();
        let hidden = hidden(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let output = format!("{}{}", "pip installs something\n".repeat(2000), lines[777]);
        let begun = std::time::Instant::now();
        assert!(shown(&hidden, [output.as_bytes()]).ends_with("something\n****"));
        assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    }

    proptest::proptest! {
        #[test]
        fn no_cut_of_a_text_shows_what_is_hidden(before in "[a-e]{0,6}", after in "[a-e ]{0,6}", cuts in proptest::collection::vec(0..20_usize, 0..4)) {
            let whole = format!("{before}abcabd{after}");
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(whole.len())).chain([0, whole.len()]).collect();
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|pair| &whole.as_bytes()[pair[0]..pair[1]]);
            proptest::prop_assert_eq!(shown(&hidden(&["abcabd"]), pieces), whole.replace("abcabd", "****"));
        }
    }
}
