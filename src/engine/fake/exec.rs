//! Programs in containers of the engine in memory, and what containers wrote.
//!
//! `echo`, `cat`, `sleep`, `exit` and `stty size` are read as a shell reads
//! them; a shell reads its lines from its input. `sleep` takes tokio's time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::sync::mpsc::{self, UnboundedSender};

use super::FakeEngine;
use super::store::{Store, no_container, refused};
use crate::engine::{Attached, Chunk, ContainerState, Error, Exec, Logs};

/// Programs, and what those of containers wrote.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    /// Container's id → lines.
    wrote: HashMap<String, Vec<Line>>,
    /// Container's id → those that follow.
    followers: HashMap<String, Vec<UnboundedSender<Chunk>>>,
    /// In the order in which they began.
    run: Vec<Arc<Mutex<Run>>>,
}

#[derive(Clone, Debug)]
struct Line {
    stderr: bool,
    text: String,
    /// Seconds since 1970.
    at: i64,
}

#[derive(Debug)]
struct Run {
    exec: Exec,
    code: Option<i64>,
    /// Columns and rows.
    size: (u16, u16),
}

impl FakeEngine {
    /// The container's program wrote this line, at that second since 1970.
    pub(crate) fn wrote(&self, container: &str, stderr: bool, line: &str, at: i64) {
        let mut state = self.state();
        let Some(id) = state.store.id_of(container) else { return };
        let line = Line { stderr, text: format!("{line}\n"), at };
        let chunk = line.chunk(false);
        let programs = &mut state.store.programs;
        for follower in programs.followers.get(&id).into_iter().flatten() {
            let _ = follower.send(chunk.clone());
        }
        programs.wrote.entry(id).or_default().push(line);
    }
}

impl Line {
    fn chunk(&self, timestamps: bool) -> Chunk {
        let time = if timestamps { format!("{} ", self.at) } else { String::new() };
        Chunk { stderr: self.stderr, bytes: (time + &self.text).into_bytes() }
    }
}

fn locked<T>(run: &Mutex<Run>, with: impl FnOnce(&mut Run) -> T) -> T {
    with(&mut run.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Programs {
    /// A container's program ended: nobody waits for its next line.
    pub(crate) fn end(&mut self, id: &str) {
        self.followers.remove(id);
    }

    fn run(&self, id: &str, action: &str) -> Result<&Arc<Mutex<Run>>, Error> {
        let found = id.strip_prefix("exec-").and_then(|n| self.run.get(n.parse::<usize>().ok()?));
        found.map_or_else(|| refused(action.to_owned(), format!("No such exec instance: {id}")), Ok)
    }
}

impl Store {
    pub(crate) fn logs(
        &mut self,
        container: &str,
        logs: &Logs,
    ) -> Result<BoxStream<'static, Result<Chunk, Error>>, Error> {
        let Some(id) = self.id_of(container) else {
            return refused(format!("read what container `{container}` wrote"), no_container(container));
        };
        let lines = self.programs.wrote.get(&id).map_or(&[][..], Vec::as_slice);
        let lines: Vec<_> =
            lines.iter().filter(|line| logs.since.is_none_or(|since| line.at >= since)).collect();
        let most = logs.tail.map_or(lines.len(), |tail| tail as usize);
        let last = &lines[lines.len().saturating_sub(most)..];
        let told: Vec<_> = last.iter().map(|line| Ok(line.chunk(logs.timestamps))).collect();
        let told = stream::iter(told);
        if !logs.follow || !self.runs(&id) {
            return Ok(told.boxed());
        }
        let (tell, follow) = mpsc::unbounded_channel();
        self.programs.followers.entry(id).or_default().push(tell);
        Ok(told.chain(received(follow)).boxed())
    }

    pub(crate) fn exec(&mut self, container: &str, exec: &Exec) -> Result<Attached, Error> {
        let action = format!("run a program in container `{container}`");
        let Some(id) = self.id_of(container) else { return refused(action, no_container(container)) };
        if !self.runs(&id) {
            return refused(action, format!("Container {id} is not running"));
        }
        let run = Arc::new(Mutex::new(Run { exec: exec.clone(), code: None, size: (0, 0) }));
        let (tell, output) = mpsc::unbounded_channel();
        let (input, theirs) = tokio::io::duplex(4096);
        let program = Program { run: run.clone(), tell };
        tokio::spawn(program.run_to_its_end(theirs));
        self.programs.run.push(run);
        let id = format!("exec-{}", self.programs.run.len() - 1);
        Ok(Attached { id, input: Box::new(input), output: received(output) })
    }

    pub(crate) fn resize(&mut self, exec: &str, columns: u16, rows: u16) -> Result<(), Error> {
        let run = self.programs.run(exec, "tell a program the size of its terminal")?;
        locked(run, |run| run.size = (columns, rows));
        Ok(())
    }

    pub(crate) fn exec_ended(&self, exec: &str) -> Result<Option<i64>, Error> {
        let run = self.programs.run(exec, "ask how a program ended")?;
        Ok(locked(run, |run| run.code))
    }

    fn id_of(&self, container: &str) -> Option<String> {
        self.containers.iter().find(|c| c.name == container || c.id == container).map(|c| c.id.clone())
    }

    fn runs(&self, id: &str) -> bool {
        self.containers.iter().any(|c| c.id == id && c.state == ContainerState::Running)
    }
}

fn received(from: mpsc::UnboundedReceiver<Chunk>) -> BoxStream<'static, Result<Chunk, Error>> {
    stream::unfold(from, |mut from| async move { Some((Ok(from.recv().await?), from)) }).boxed()
}

/// A program while it runs.
struct Program {
    run: Arc<Mutex<Run>>,
    tell: UnboundedSender<Chunk>,
}

impl Program {
    async fn run_to_its_end(self, input: impl AsyncRead + Unpin) {
        let (command, tty) = locked(&self.run, |run| (run.exec.command.clone(), run.exec.tty));
        let words: Vec<_> = command.iter().map(String::as_str).collect();
        let mut input = BufReader::new(input);
        let code = match words.as_slice() {
            // A script of one line is read; a longer one opens a shell.
            ["/bin/sh" | "sh", "-c", script, ..] if script.trim().lines().count() == 1 => {
                self.line(script, tty, &mut input).await.0
            }
            ["/bin/sh" | "/bin/bash" | "sh" | "bash", ..] => self.shell(tty, &mut input).await,
            words => self.command(words, tty, &mut input).await.0,
        };
        // Output ends when this is dropped, with the code known.
        locked(&self.run, |run| run.code = Some(code));
    }

    async fn shell(&self, tty: bool, input: &mut (impl AsyncBufReadExt + Unpin)) -> i64 {
        let mut last = 0;
        let mut line = String::new();
        while input.read_line(&mut line).await.is_ok_and(|count| count > 0) {
            let (code, ends) = self.line(&line, tty, input).await;
            last = code;
            if ends {
                break;
            }
            line.clear();
        }
        last
    }

    async fn line(&self, line: &str, tty: bool, input: &mut (impl AsyncBufReadExt + Unpin)) -> (i64, bool) {
        let words: Vec<_> = line.split_whitespace().collect();
        self.command(&words, tty, input).await
    }

    /// The exit code, and whether the shell that read it ends.
    async fn command(
        &self,
        words: &[&str],
        tty: bool,
        input: &mut (impl AsyncBufReadExt + Unpin),
    ) -> (i64, bool) {
        let say = |stderr: bool, bytes: &[u8]| {
            let _ = self.tell.send(Chunk { stderr: stderr && !tty, bytes: bytes.to_vec() });
        };
        match words {
            [] => return (0, false),
            ["exit", code] => return (code.parse().unwrap_or(2), true),
            ["exit"] => return (0, true),
            ["echo", words @ ..] => say(false, format!("{}\n", words.join(" ")).as_bytes()),
            ["sleep", seconds] => {
                tokio::time::sleep(Duration::from_secs_f64(seconds.parse().unwrap_or(0.0))).await;
            }
            ["cat"] => {
                let mut piece = [0; 1024];
                while let Ok(count @ 1..) = input.read(&mut piece).await {
                    say(false, &piece[..count]);
                }
            }
            ["stty", "size"] => {
                let (columns, rows) = locked(&self.run, |run| run.size);
                say(false, format!("{rows} {columns}\n").as_bytes());
            }
            [unknown, ..] => {
                say(true, format!("sh: {unknown}: not found\n").as_bytes());
                return (127, false);
            }
        }
        (0, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Container, Engine};
    use crate::model::names::ImageId;

    fn engine() -> FakeEngine {
        let engine = FakeEngine::new();
        engine.add_container(Container {
            id: "1".into(),
            name: "x".into(),
            image: "x".into(),
            image_id: ImageId::new("sha256:1"),
            labels: [].into(),
            state: "running".into(),
            status: "Up".into(),
            created: 0,
        });
        for (at, line) in ["one", "two", "three"].into_iter().enumerate() {
            engine.wrote("x", at == 1, line, 100 + at as i64);
        }
        engine
    }

    async fn read(engine: &FakeEngine, logs: Logs) -> String {
        let chunks: Vec<_> = engine.logs("x", &logs).await.unwrap().collect().await;
        let mark = |chunk: Chunk| {
            format!("{}{}", if chunk.stderr { "!" } else { "" }, String::from_utf8_lossy(&chunk.bytes))
        };
        chunks.into_iter().map(|chunk| mark(chunk.unwrap())).collect()
    }

    #[tokio::test]
    async fn lines_are_kept_with_their_stream_and_time() {
        let engine = engine();
        assert_eq!(read(&engine, Logs::default()).await, "one\n!two\nthree\n");
        assert_eq!(read(&engine, Logs { tail: Some(1), ..Logs::default() }).await, "three\n");
        assert_eq!(read(&engine, Logs { since: Some(101), ..Logs::default() }).await, "!two\nthree\n");
        assert_eq!(
            read(&engine, Logs { timestamps: true, tail: Some(2), ..Logs::default() }).await,
            "!101 two\n102 three\n"
        );
        assert!(engine.logs("y", &Logs::default()).await.is_err());
    }

    #[tokio::test]
    async fn those_who_follow_see_what_comes_until_the_container_ends() {
        let engine = engine();
        let logs = Logs { follow: true, tail: Some(0), ..Logs::default() };
        let mut chunks = engine.logs("x", &logs).await.unwrap();
        engine.wrote("x", false, "four", 103);
        assert_eq!(chunks.next().await.unwrap().unwrap().bytes, b"four\n");
        engine.stop("x", 1).await.unwrap();
        assert!(chunks.next().await.is_none());
        assert_eq!(read(&engine, logs).await, "", "nobody follows what does not run");
        let refused = engine.exec("x", &Exec::default()).await.unwrap_err();
        assert!(refused.to_string().contains("is not running"), "{refused}");
    }
}
