//! What running containers take now.
//!
//! CPU is the difference of two samples. Engines from 23 on answer at once if
//! they are asked for one sample; older ones sample once a second whatever
//! they are asked, so there a pair takes one to two seconds.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::models::ContainerStatsResponse;
use bollard::query_parameters::StatsOptionsBuilder;
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::fault::{self, Fault};
use crate::engine::{Error, Usage};

/// Containers that are looked at together. Each takes a connection, and an
/// older engine lets each wait for its next second: few would take long.
const AT_ONCE: usize = 256;
/// Between two samples.
const MOMENT: Duration = Duration::from_millis(300);

/// What a container had taken at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    /// Nanoseconds since 1970.
    at: i128,
    /// Nanoseconds of CPU since it began.
    cpu: u64,
    memory: u64,
    pids: u64,
}

/// By what they were asked for; those that do not run are left out.
pub(crate) async fn read(
    client: &Docker,
    fault: &Fault,
    containers: &[String],
) -> Result<HashMap<String, Usage>, Error> {
    let asked = stream::iter(containers.to_vec()).map(|container| async move {
        let Some(first) = sample(client, fault, &container).await? else { return Ok(None) };
        tokio::time::sleep(MOMENT).await;
        let last = sample(client, fault, &container).await?;
        Ok::<_, Error>(last.and_then(|last| between(first, last)).map(|usage| (container, usage)))
    });
    asked.buffer_unordered(AT_ONCE).try_filter_map(|found| async move { Ok(found) }).try_collect().await
}

/// `None`: it does not run, or is gone.
async fn sample(client: &Docker, fault: &Fault, container: &str) -> Result<Option<Sample>, Error> {
    let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
    let answer = client.stats(container, Some(options)).boxed().next().await;
    match answer {
        Some(Ok(stats)) => Ok(taken(&stats)),
        None => Ok(None),
        Some(Err(e)) if fault::is_not_found(&e) => Ok(None),
        Some(Err(e)) => Err(fault.calling(&format!("measure container `{container}`"), e)),
    }
}

/// One that does not run has no time.
fn taken(stats: &ContainerStatsResponse) -> Option<Sample> {
    let at = stats.read.as_ref()?.parse::<Timestamp>().ok()?.as_nanosecond();
    let cpu = stats.cpu_stats.as_ref()?.cpu_usage.as_ref()?.total_usage?;
    (at > 0).then(|| Sample {
        at,
        cpu,
        memory: memory(stats),
        pids: stats.pids_stats.as_ref().and_then(|pids| pids.current).unwrap_or_default(),
    })
}

/// Without pages of files that nobody needs now, as Docker's own client counts
/// it: the key of cgroups v1, else that of v2.
fn memory(stats: &ContainerStatsResponse) -> u64 {
    let Some(memory) = &stats.memory_stats else { return 0 };
    let usage = memory.usage.unwrap_or_default();
    let file = |key: &str| memory.stats.as_ref()?.get(key).copied();
    let cache = file("total_inactive_file").or_else(|| file("inactive_file")).unwrap_or_default();
    if cache < usage { usage - cache } else { usage }
}

/// `None`: the samples are one and the same, or it was started again.
fn between(first: Sample, last: Sample) -> Option<Usage> {
    let elapsed = last.at - first.at;
    let cpu = last.cpu.checked_sub(first.cpu)?;
    (elapsed > 0).then(|| Usage { cpus: cpu as f64 / elapsed as f64, memory: last.memory, pids: last.pids })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn stats(read: &str, cpu: u64, memory: Value) -> ContainerStatsResponse {
        serde_json::from_value(json!({
            "read": read, "pids_stats": {"current": 3},
            "cpu_stats": {"cpu_usage": {"total_usage": cpu}}, "memory_stats": memory
        }))
        .unwrap()
    }

    #[test]
    fn cpu_is_what_was_taken_between_two_samples() {
        let sample = |read: &str, cpu| taken(&stats(read, cpu, json!({"usage": 5, "stats": {}}))).unwrap();
        let first = sample("2026-11-21T11:03:53.153088433Z", 1_034_506_211);
        let last = sample("2026-11-21T11:03:54.156178386Z", 2_026_363_391);
        let usage = between(first, last).unwrap();
        assert!((usage.cpus - 0.9888).abs() < 0.0001, "{usage:?}");
        assert_eq!((usage.memory, usage.pids), (5, 3));
        assert_eq!(between(first, first), None, "an engine gave one sample twice");
        assert_eq!(between(last, Sample { at: last.at + 1, cpu: 0, ..last }), None, "it was started again");
    }

    #[test]
    fn memory_is_counted_without_the_page_cache_of_both_generations_of_cgroups() {
        let memory = |value: Value| memory(&stats("2026-11-21T11:03:54Z", 0, value));
        let v1 = json!({"usage": 2_187_264, "stats": {"total_inactive_file": 1_605_632, "inactive_file": 7}});
        assert_eq!(memory(v1), 581_632);
        assert_eq!(memory(json!({"usage": 100, "stats": {"inactive_file": 30}})), 70);
        assert_eq!(memory(json!({"usage": 100, "stats": {"inactive_file": 100}})), 100);
        assert_eq!(memory(json!({"usage": 100})), 100);
        assert_eq!(memory(json!({})), 0);
    }

    #[test]
    fn one_that_does_not_run_has_no_sample() {
        assert_eq!(taken(&stats("0001-01-01T00:00:00Z", 0, json!({}))), None);
        assert_eq!(taken(&ContainerStatsResponse::default()), None);
    }
}
