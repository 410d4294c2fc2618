//! What can be typed, by tables.

use super::*;

fn parse(words: &[&str]) -> Result<GpuRequest, Problem> {
    let of = |flag: &str| words.iter().position(|word| *word == flag).map(|at| words[at + 1]);
    let cpu_only = words.contains(&"--cpu-only");
    GpuRequest::parse(of("--gpus"), of("--mig"), of("--gpu-memory"), cpu_only)
}

fn whole(count: u32, memory: Option<u64>) -> GpuRequest {
    GpuRequest::Whole { count, memory }
}

fn named(names: &[&str]) -> GpuRequest {
    GpuRequest::Named(names.iter().map(|name| (*name).to_owned()).collect())
}

const GIB: u64 = 1 << 30;

#[test]
fn each_way_to_ask_is_understood() {
    let mig = |profile: &str, count| GpuRequest::Mig { profile: profile.into(), count };
    for (words, request, label) in [
        (&[][..], GpuRequest::Nothing, "0"),
        (&["--cpu-only"], GpuRequest::Nothing, "0"),
        (&["--gpus", "0"], GpuRequest::Nothing, "0"),
        (&["--gpus", "0", "--cpu-only"], GpuRequest::Nothing, "0"),
        (&["--gpus", "2"], whole(2, None), "2"),
        (&["--gpus", "2", "--gpu-memory", "40GiB"], whole(2, Some(40 * GIB)), "2"),
        (&["--gpus", "GPU-8a1f,GPU-9"], named(&["GPU-8a1f", "GPU-9"]), "2"),
        (&["--gpus", "gpu-8A"], named(&["gpu-8A"]), "1"),
        (&["--gpus", "MIG-1, 0.1"], named(&["MIG-1", "0.1"]), "2"),
        (&["--gpus", "MIG-GPU-8a/1/0"], named(&["MIG-GPU-8a/1/0"]), "1"),
        (&["--gpus", "0,1"], named(&["0", "1"]), "2"),
        (&["--gpus", "device=0"], named(&["0"]), "1"),
        (&["--gpus", "0:1"], named(&["0:1"]), "1"),
        (&["--mig", "1g.10gb"], mig("1g.10gb", 1), "1g.10gb"),
        (&["--mig", "3G.40GB:2"], mig("3g.40gb", 2), "3g.40gb:2"),
        (&["--mig", "1c.3g.40gb"], mig("1c.3g.40gb", 1), "1c.3g.40gb"),
        (&["--mig", "1g.10gb+me"], mig("1g.10gb+me", 1), "1g.10gb+me"),
        (&["--mig", "2g.24gb+me.all:3"], mig("2g.24gb+me.all", 3), "2g.24gb+me.all:3"),
        (&["--gpu-memory", "20GiB"], GpuRequest::Memory(20 * GIB), "1"),
        (&["--gpu-memory", "20g"], GpuRequest::Memory(20 * GIB), "1"),
        (&["--gpu-memory", "20G"], GpuRequest::Memory(20 * GIB), "1"),
        (&["--gpu-memory", "20480MiB"], GpuRequest::Memory(20 * GIB), "1"),
        (&["--gpu-memory", "39.5 GiB"], GpuRequest::Memory(39 * GIB + GIB / 2), "1"),
        (&["--gpu-memory", "40GB"], GpuRequest::Memory(40_000_000_000), "1"),
    ] {
        let found = parse(words);
        assert_eq!(found, Ok(request.clone()), "{words:?}");
        assert_eq!(request.to_string(), label, "{words:?}");
    }
}

#[test]
fn what_cannot_be_understood_is_told_with_what_to_write() {
    let mut told = String::new();
    for words in [
        &["--gpus", "all"][..],
        &["--gpus", "device=all"],
        &["--gpus", "-1"],
        &["--gpus", ""],
        &["--gpus", "two"],
        &["--gpus", "GPU-"],
        &["--gpus", "GPU-1,,GPU-2"],
        &["--gpus", "GPU-1,gpu-1"],
        &["--gpus", "0.1.2"],
        &["--mig", "2x1g.10gb"],
        &["--mig", "1g"],
        &["--mig", "1g.10gb:0"],
        &["--mig", "1g.10gb:two"],
        &["--mig", ""],
        &["--gpu-memory", "20"],
        &["--gpu-memory", "20 gigs"],
        &["--gpu-memory", "much"],
        &["--gpu-memory", "0g"],
        &["--gpu-memory", "1.2.3g"],
        &["--gpu-memory", "99999999t"],
        &["--gpus", "2", "--cpu-only"],
        &["--mig", "1g.10gb", "--cpu-only"],
        &["--gpu-memory", "20g", "--cpu-only"],
        &["--gpus", "0", "--mig", "1g.10gb"],
        &["--gpus", "1", "--mig", "1g.10gb"],
        &["--mig", "1g.10gb", "--gpu-memory", "5g"],
        &["--gpus", "GPU-1", "--gpu-memory", "5g"],
    ] {
        let problem = parse(words).expect_err("that cannot be understood");
        let help = problem.help.expect("what to write");
        told += &format!("{}\n  {}\n", problem.message, help);
    }
    insta::assert_snapshot!(told);
}
