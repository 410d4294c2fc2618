//! What is typed, as it is meant.

use super::*;
use clap::Parser;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: DeployArgs,
}

fn typed(words: &[&str]) -> Result<DeployOptions, String> {
    let words = ["deploy", "thesis"].iter().chain(words);
    let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
    let options = options(&line.args);
    options.map_err(|problem| format!("{}; {}", problem.message, problem.help.unwrap_or_default()))
}

#[test]
fn nothing_said_is_nothing_asked_for() {
    assert_eq!(typed(&[]).unwrap(), DeployOptions::default());
    assert_eq!(typed(&["--cpu-only"]).unwrap(), DeployOptions::default());
}

#[test]
fn sizes_and_the_program_are_as_typed() {
    let words = ["--cpus", "1.5", "--memory", "16GiB", "--shm-size", "512m", "-e", "A=b=c", "-e", "B="];
    let asked = typed(&[&words[..], &["--", "python", "-c", "print()"]].concat()).unwrap();
    assert_eq!((asked.cpus, asked.memory, asked.shm_size), (Some(1.5), Some(16 << 30), Some(512 << 20)));
    assert_eq!(asked.env, ["A=b=c", "B="]);
    assert_eq!(asked.command.unwrap(), ["python", "-c", "print()"]);
}

#[test]
fn a_port_listens_on_the_machine_alone_unless_an_address_is_said() {
    let port = |text: &str| {
        let port = typed(&["--publish", text]).unwrap().ports.remove(0);
        (port.address.unwrap(), port.host, port.container)
    };
    assert_eq!(port("8888"), ("127.0.0.1".into(), None, 8888));
    assert_eq!(port("9000:8888"), ("127.0.0.1".into(), Some(9000), 8888));
    assert_eq!(port("0.0.0.0:9000:8888"), ("0.0.0.0".into(), Some(9000), 8888));
    assert_eq!(port("[::1]:9000:8888"), ("::1".into(), Some(9000), 8888));
}

#[test]
fn what_means_nothing_is_a_usage_error_that_says_the_form() {
    let said: String = [
        &["--cpus", "0"][..],
        &["--cpus", "nan"],
        &["--memory", "16"],
        &["--memory", "16GB"],
        &["--memory", "1m"],
        &["--shm-size", "0g"],
        &["--memory", "99999999999t"],
        &["--publish", "70000"],
        &["--publish", "0:80"],
        &["--publish", "a:8888:80"],
        &["--publish", ""],
        &["--env", "NAME"],
        &["--env", "=secret"],
    ]
    .iter()
    .map(|words| format!("{}: {}\n", words.join(" "), typed(words).unwrap_err()))
    .collect();
    insta::assert_snapshot!(said);
}

#[test]
fn options_that_contradict_each_other_are_not_taken_together() {
    let both = GpuRequest::Whole { count: 2, memory: Some(80 << 30) };
    assert_eq!(typed(&["--gpus", "2", "--gpu-memory", "80g"]).unwrap().gpus, both);
    for words in [
        &["--gpus", "1", "--mig", "1g.10gb"][..],
        &["--gpus", "1", "--cpu-only"],
        &["--mig", "1g.10gb", "--cpu-only"],
        &["--mig", "1g.10gb", "--gpu-memory", "20g"],
    ] {
        let said = typed(words).unwrap_err();
        assert!(words.iter().filter(|word| word.starts_with("--")).all(|word| said.contains(word)), "{said}");
    }
}
