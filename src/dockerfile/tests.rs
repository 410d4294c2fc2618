//! Facts, evaluation and the check against the spec.

use std::collections::BTreeSet;

use super::*;
use crate::model::reference::Repository;

fn parse(text: &str) -> Result<ParsedDockerfile, Vec<Problem>> {
    ParsedDockerfile::parse(&Arc::new(SourceFile::new("Dockerfile", text)))
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn evaluate(text: &str, target: Option<&str>, args: &[(&str, &str)]) -> Result<Evaluated, Vec<Problem>> {
    parse(text)?.evaluate(&Inputs {
        target,
        args: &map(args),
        platform: "linux/amd64",
        triggers: &Triggers::default(),
    })
}

fn readable(text: &str) -> Vec<String> {
    paths(&evaluate(text, None, &[("GIVEN", "src")]).unwrap()).into_iter().collect()
}

fn paths(found: &Evaluated) -> BTreeSet<String> {
    found.readable.iter().map(|source| source.path.clone()).collect()
}

fn images(evaluated: &Evaluated) -> Vec<String> {
    evaluated.images.iter().map(|i| i.reference.to_string()).collect()
}

fn set(items: &[&str]) -> BTreeSet<String> {
    items.iter().map(|s| (*s).to_owned()).collect()
}

fn messages(result: Result<Evaluated, Vec<Problem>>) -> Vec<(usize, String)> {
    let line = |p: &Problem| p.place.as_ref().unwrap().line_column().0;
    result.unwrap_err().into_iter().map(|p| (line(&p), p.message)).collect()
}

#[test]
fn readable_paths_are_those_that_an_instruction_names() {
    for (lines, expected) in [
        ("RUN make", &[][..]),
        ("COPY requirements.txt /tmp/", &["requirements.txt"]),
        ("COPY ./a/ /b/../c /x/", &["a", "c"]),
        ("COPY ../../up /x", &["up"]),
        ("COPY *.txt conf?/[a-c] /x/", &["*.txt", "conf?/[a-c]"]),
        ("COPY . /x", &["."]),
        ("COPY / /x", &["."]),
        ("COPY a . /x", &["."]),
        ("COPY [\"with blank\", \"/x\"]", &["with blank"]),
        ("COPY \"quoted\" /x", &["quoted"]),
        ("ADD https://x/y.tgz data.tgz /x/", &["data.tgz"]),
        ("ADD git@host:x/y.git https://x/${UNKNOWN} /x/", &[]),
        ("COPY --from=debian:12 /etc /x", &[]),
        ("COPY <<EOF /x\ntext\nEOF", &[]),
        ("RUN --mount=type=bind,source=tools,target=/t true", &["tools"]),
        ("RUN --mount=target=/src true", &["."]),
        ("RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/d true", &[]),
        ("RUN --mount=type=bind,from=debian:12,target=/t true", &[]),
        ("RUN --mount=type=bind,src=a --mount=type=bind,src=b true", &["a", "b"]),
        ("ARG GIVEN=x\nCOPY $GIVEN /x", &["src"]),
        ("ARG OTHER=lib\nCOPY ${OTHER}/${GIVEN:-x} /x", &["."]),
        ("ARG OTHER=lib\nENV DIR=$OTHER/y\nCOPY $DIR /x", &["lib/y"]),
        ("ENV A=1\nENV A=2 B=$A\nCOPY $A$B /x", &["21"]),
        ("COPY $HOME/x /x", &["."]),
        ("ARG NOVALUE\nCOPY a$NOVALUE /x", &["."]),
        ("ARG TARGETARCH\nCOPY bin/$TARGETARCH /x", &["bin/amd64"]),
        ("ARG EMPTY=\nCOPY $EMPTY /x", &["."]),
        ("COPY --parents a/**/b.txt ./c/./d /x/", &["a/**/b.txt", "c/d"]),
        ("COPY --parents **/*.py /x/", &["**/*.py"]),
        ("COPY --parents . /x/", &["."]),
        ("COPY --exclude=*.md src a /x/", &["a", "src"]),
        ("ENV S=src\nCOPY ${S}${@} /x", &["src"]),
        ("ONBUILD COPY app /x", &[]),
    ] {
        let text = format!("FROM debian\n{lines}\n");
        assert_eq!(readable(&text), expected, "{lines}");
    }
}

#[test]
fn what_is_excluded_counts_where_it_is_not_sure() {
    let excluded = |line: &str| {
        let found = evaluate(&format!("FROM a\nARG E=*.log\n{line}\n"), None, &[]).unwrap();
        let excluded = found.readable.into_iter().map(|source| source.excluded.join(" "));
        excluded.collect::<Vec<_>>()
    };
    assert_eq!(excluded("COPY --exclude=*.md --exclude=$E a b /x/"), ["*.md *.log"; 2]);
    assert_eq!(excluded("ADD --exclude=/top --exclude=!x a /x/"), ["!x"]);
    assert_eq!(excluded("COPY --exclude=$UNKNOWN --exclude=*.md a /x/"), [""]);
    assert_eq!(excluded("COPY --parents --exclude=*.md a /x/"), [""]);
    assert!(evaluate("FROM a\nCOPY --exclude=[ a /x/\n", None, &[]).is_err());
}

#[test]
fn a_reading_of_nothing_differs_from_a_reading_of_all() {
    assert!(readable("FROM scratch\nRUN x").is_empty());
    assert_eq!(readable("FROM scratch\nCOPY $X /y"), ["."]);
}

const STAGES: &str = "\
ARG TAG=12
FROM debian:${TAG} AS tools
COPY tools.txt /
RUN --mount=type=secret,id=token make
FROM golang AS unused
COPY unused.txt /
RUN --mount=type=secret,id=never make
FROM python:3 AS Build
COPY --from=tools /x /x
COPY build.txt /
FROM build AS final
COPY --from=busybox:1 /bin/sh /sh
RUN --mount=type=bind,from=alpine,target=/a true
ARG LATE
FROM final AS last
";

#[test]
fn only_stages_that_the_target_needs_count() {
    let last = evaluate(STAGES, None, &[]).unwrap();
    assert_eq!(images(&last), ["debian:12", "python:3", "busybox:1", "alpine:latest"]);
    assert_eq!(paths(&last), set(&["tools.txt", "build.txt"]));
    assert_eq!(last.secrets, set(&["token"]));
    assert_eq!(last.declared_args, set(&["TAG", "LATE"]));
    let BuildBase::Image(base) = &last.base else { panic!() };
    assert_eq!(base.reference.to_string(), "python:3");

    let tools = evaluate(STAGES, Some("Tools"), &[("TAG", "13")]).unwrap();
    assert_eq!(images(&tools), ["debian:13"]);
    assert_eq!(tools.declared_args, set(&["TAG"]));
}

#[test]
fn a_from_sees_only_args_above_the_first_from() {
    let text = "ARG A=x\nARG B=${A}-y\nFROM reg:5000/${B}:${C:-1}${A:+plus}\nARG B=z\n";
    assert_eq!(images(&evaluate(text, None, &[]).unwrap()), ["reg:5000/x-y:1plus"]);
    assert_eq!(images(&evaluate(text, None, &[("A", "q")]).unwrap()), ["reg:5000/q-y:1plus"]);
    let text = "FROM debian AS a\nARG B=z\nFROM img:$B";
    assert_eq!(messages(evaluate(text, None, &[])).len(), 1);
}

#[test]
fn a_stage_inherits_the_variables_of_its_base() {
    let text = "ARG G=g\nFROM debian AS a\nENV D=one\nARG X=$D/two\nFROM a\nCOPY $D $X /y\nARG G\nCOPY $G /z";
    assert_eq!(readable(text), ["g", "one", "one/two"]);
}

#[test]
fn instructions_left_by_onbuild_run_in_the_stage_built_from_it() {
    let text = "FROM debian AS a\nONBUILD COPY app /x\nONBUILD COPY --from=busybox /b /b\nFROM a\n";
    let found = evaluate(text, None, &[]).unwrap();
    assert_eq!(paths(&found), set(&["app"]));
    assert_eq!(images(&found), ["debian:latest", "busybox:latest"]);
    assert!(evaluate(text, Some("a"), &[]).unwrap().readable.is_empty());
}

#[test]
fn what_an_image_left_by_onbuild_counts_in_what_is_built_from_it_and_not_below() {
    let base = Reference::parse("conda:1").unwrap();
    let left = [
        "ARG SRC=src",
        "COPY ${SRC} /x",
        "COPY --from=busybox:1 /b /b",
        "RUN --mount=type=secret,id=token make",
        "COPY <<EOF /y\ntext\nEOF\n",
    ];
    let mut triggers = Triggers::default();
    triggers.add(&base, &left.map(str::to_owned)).unwrap();
    let args = map(&[("SRC", "lib")]);
    let inputs = Inputs { target: None, args: &args, platform: "linux/amd64", triggers: &triggers };
    let text = "FROM conda:1 AS a\nFROM debian:12 AS other\nCOPY --from=a /x /x\nONBUILD COPY own /o\n";
    let facts = parse(text).unwrap();
    let found = facts.evaluate(&inputs).unwrap();
    assert_eq!(paths(&found), set(&["lib"]));
    assert_eq!(found.secrets, set(&["token"]));
    assert_eq!(found.declared_args, set(&["SRC"]));
    assert_eq!(images(&found), ["conda:1", "busybox:1", "debian:12"]);
    assert_eq!(found.images.iter().map(|image| image.from).collect::<Vec<_>>(), [true, false, true]);
    // What the base names is not written into this text.
    let digest = format!("sha256:{}", "a".repeat(64));
    let sent = facts.pinned(&inputs, &|image| Some(image.pinned(&digest))).unwrap();
    assert_eq!(sent.replace(&digest, "DIGEST").lines().next(), Some("FROM conda:1@DIGEST AS a"));
    assert_eq!(sent.lines().count(), 4);

    let here = Reference::parse("reg/other:r-1").unwrap();
    let mut triggers = Triggers::default();
    triggers.add_built(&here, &found);
    let inputs = Inputs { triggers: &triggers, ..inputs };
    let child = parse("FROM reg/other:r-1\n").unwrap().evaluate(&inputs).unwrap();
    assert_eq!(paths(&child), set(&["own"]));
    let mut none = Triggers::default();
    none.add_built(&here, &child);
    assert!(none.is_empty());
    let broken = Triggers::default().add(&here, &["COPY x".to_owned()]).unwrap_err();
    assert_eq!(broken.place.unwrap().file.path.display().to_string(), "ONBUILD of reg/other:r-1");
}

#[test]
fn a_secret_is_named_by_its_source_its_id_or_its_target() {
    let text = "FROM a\nARG N=c\nRUN --mount=type=secret,id=a --mount=type=secret,target=/run/b \
                --mount=type=secret,id=$N --mount=type=secret,source=d,target=/e true";
    assert_eq!(evaluate(text, None, &[]).unwrap().secrets, set(&["a", "b", "c", "d"]));
}

#[test]
fn an_instruction_of_another_front_end_may_read_everything() {
    assert_eq!(readable("# syntax=example/frontend\nFROM a\nINCLUDE x\n"), ["."]);
    assert!(parse("FROM a\nINCLUDE x\n").is_err());
}

#[test]
fn what_is_wrong_is_told_at_its_line_all_at_once() {
    let problems = parse("RUN x\nFROM a b\nFROM a\nCOPY x\nNONSENSE\n").unwrap_err();
    let lines: Vec<usize> = problems.iter().map(|p| p.place.as_ref().unwrap().line_column().0).collect();
    assert_eq!(lines, [1, 2, 4, 5]);
    assert!(problems.iter().all(|p| p.help.is_some()));
    assert!(parse("# nothing\n").is_err());

    let text = "FROM a AS x\nCOPY --from=y /a /b\nCOPY [ /c\nCOPY --from=$Z a b\nRUN --mount=type=secret x\nFROM b AS y\nFROM ${\nFROM x\n";
    let found = messages(evaluate(text, None, &[]));
    let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 3, 4, 5], "{found:?}");
}

#[test]
fn what_the_front_end_refuses_at_once_is_told_at_its_line_and_all_of_it() {
    let wrong = [
        "FROM --plattform=linux/amd64 a",
        "COPY --frm=a b /c",
        "COPY --from b /c",
        "COPY --chown=1 --chown=2 a /b",
        "COPY --link=perhaps a /b",
        "COPY [1, \"/b\"]",
        "CMD --help",
        "CMD [\"a\", 1]",
        "ENV --x=1",
        "ONBUILD COPY --frm=a b /c",
        "RUN --mount=type=binds,source=a true",
        "RUN --mount=type=cache,target=/c,sharing=mine true",
        "RUN --mount=type=secret,id=a,mode=0x8 true",
        "RUN --mount=type=secret,id=a,uid=me true",
        "RUN --mount=type=bind,src=a,tagret=/b true",
        "RUN --mount=type=bind, true",
        "SHELL /bin/bash",
        "SHELL []",
        "HEALTHCHECK curl x",
        "HEALTHCHECK CMD",
        "HEALTHCHECK --retry=3 CMD x",
        "WORKDIR",
        "USER",
        "EXPOSE",
    ];
    let text = format!("FROM a\n{}\n", wrong.join("\n"));
    let problems = parse(&text).unwrap_err();
    let lines: Vec<usize> = problems.iter().map(|p| p.place.as_ref().unwrap().line_column().0).collect();
    assert_eq!(lines, (2..wrong.len() + 2).collect::<Vec<_>>());
    assert!(problems.iter().all(|problem| problem.help.is_some()));

    let right = [
        "FROM --platform=$BUILDPLATFORM a AS b",
        "COPY --from=b --chown=1:1 --chmod=644 --link --parents=true --exclude=x --exclude=y a /b",
        "ADD --keep-git-dir=true --checksum=sha256:1 --link=f --unpack=0 a /b",
        "RUN --network=none --security=insecure --mount=type=tmpfs,target=/t,size=1m true",
        "RUN --mount=Type=Bind,Source=a,RO --mount=type=secret,id=x,required,mode=0400,uid=0,env=X true",
        "RUN --mount=type=$KIND,sharing=$S,mode=$M,target=/x true",
        "RUN [\"a\"",
        "RUN [ -f /x ] && true",
        "CMD []",
        "CMD",
        "SHELL [\"/bin/bash\", \"-c\"]",
        "HEALTHCHECK none",
        "HEALTHCHECK --interval=5s --retries=3 CMD [\"curl\", \"x\"]",
        "ENTRYPOINT [\"--x\"]",
        "VOLUME [\"/a\"]",
    ];
    assert_eq!(parse(&format!("FROM a\n{}\n", right.join("\n"))).err(), None);
    // Another front end may know more.
    assert!(parse("# syntax=docker/dockerfile:1\nFROM a\nCOPY --new=1 a /b\n").is_ok());
}

#[test]
fn a_value_that_doubles_with_every_line_is_taken_for_unknown() {
    for line in ["ENV A=$A$A\n", "ENV A=${A//[0-9]/$A}${A//?/$A}\n"] {
        let text = format!("FROM a\nENV A=0123456789\n{}COPY x$A /x\n", line.repeat(60));
        assert_eq!(readable(&text), ["."]);
    }
}

#[test]
fn a_target_that_is_no_stage_is_refused_with_those_there_are() {
    let problem = &evaluate(STAGES, Some("fianl"), &[]).unwrap_err()[0];
    assert_eq!(problem.message, "the Dockerfile has no stage `fianl`");
    assert!(problem.help.as_ref().unwrap().contains("tools, unused, build, final, last"));
}

#[test]
fn parents_are_given_as_args() {
    let base = Reference::parse("reg:5000/x/y:r-1").unwrap();
    let tools = Reference::parse("x/tools:2").unwrap();
    assert_eq!(
        base_args(Some(&base), &[("my-tools".into(), tools)]),
        map(&[("BASE_IMAGE", "reg:5000/x/y:r-1"), ("BASE_IMAGE_MY_TOOLS", "x/tools:2"), ("BASE_TAG", "r-1")])
    );
    let pinned = Reference::parse(&format!("debian@sha256:{}", "a".repeat(64))).unwrap();
    assert_eq!(base_args(Some(&pinned), &[]).len(), 1);
    let tagged = Reference::parse("debian:12").unwrap().pinned(pinned.digest().unwrap());
    assert_eq!(base_args(Some(&tagged), &[])["BASE_TAG"], format!("12@{}", pinned.digest().unwrap()));
}

fn parent(name: &str, given: &str) -> ExpectedParent {
    ExpectedParent { name: name.into(), given: Reference::parse(given).unwrap(), alias: None }
}

fn check(text: &str, further: &[(&str, &str)]) -> Vec<(usize, String)> {
    let base = parent("notebook", "ghcr.io/u/notebook:r-1");
    let further: Vec<ExpectedParent> = further.iter().map(|(n, r)| parent(n, r)).collect();
    let named: Vec<_> = further.iter().map(|p| (p.name.clone(), p.given.clone())).collect();
    let args = base_args(Some(&base.given), &named);
    let built = [("ghcr.io/u/notebook", "notebook"), ("ghcr.io/u/rstudio", "rstudio"), ("t/tools", "tools")]
        .map(|(r, n)| (Repository::parse(r).unwrap(), n.to_owned()))
        .into();
    let expected = Expectation { base: Some(base), further, built };
    let triggers = Triggers::default();
    let inputs = Inputs { target: None, args: &args, platform: "linux/amd64", triggers: &triggers };
    let problems = parse(text).unwrap().evaluate(&inputs).unwrap().check_from(&expected);
    problems
        .into_iter()
        .map(|p| (p.place.unwrap().line_column().0, format!("{} | {}", p.message, p.help.unwrap())))
        .collect()
}

#[test]
fn a_from_that_agrees_with_the_spec_passes() {
    for text in [
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n",
        "ARG BASE_TAG=latest\nFROM ghcr.io/u/notebook:${BASE_TAG}\n",
        "ARG BASE_IMAGE\nFROM golang AS go\nFROM $BASE_IMAGE AS b\nFROM b\nCOPY --from=go /x /y\n",
        "ARG BASE_IMAGE\nFROM ghcr.io/u/rstudio AS unused\nFROM $BASE_IMAGE\n",
    ] {
        assert_eq!(check(text, &[]), [], "{text}");
    }
    let text = "ARG BASE_IMAGE\nARG BASE_IMAGE_TOOLS\nFROM $BASE_IMAGE_TOOLS AS t\nFROM $BASE_IMAGE\nCOPY --from=t /x /y";
    assert_eq!(check(text, &[("tools", "t/tools:r-2")]), []);
}

#[test]
fn a_from_that_differs_from_the_spec_is_told_at_its_line() {
    let base = "ARG BASE_IMAGE\nFROM $BASE_IMAGE\n";
    let found = [
        check("FROM python:3\n", &[]),
        check("# x\nFROM scratch\n", &[]),
        check("FROM ghcr.io/u/notebook:stable\n", &[]),
        check("FROM ghcr.io/u/rstudio:1\n", &[]),
        check(&format!("{base}COPY --from=ghcr.io/u/rstudio:1 /x /y\n"), &[]),
        check(&format!("{base}COPY --from=ghcr.io/u/notebook:old /x /y\n"), &[]),
        check(base, &[("tools", "t/tools:r-2")]),
        check(&format!("{base}COPY --from=t/tools:1 /x /y\n"), &[("tools", "t/tools:r-2")]),
    ];
    insta::assert_debug_snapshot!(found);
}

#[test]
fn an_image_without_a_parent_in_the_spec_names_its_external_bases() {
    let text = "FROM debian:12 AS a\nFROM quay.io/j/minimal:1\nCOPY --from=a /x /y\nCOPY --from=docker.io/library/debian:12 /z /z\n";
    let found = evaluate(text, None, &[]).unwrap();
    let external = |expected: &Expectation| -> Vec<String> {
        found.external_images(expected).iter().map(|i| i.reference.to_string()).collect()
    };
    assert_eq!(external(&Expectation::default()), ["debian:12", "quay.io/j/minimal:1"]);
    assert!(found.check_from(&Expectation::default()).is_empty());
    let pinned = Reference::parse(&format!("debian@sha256:{}", "a".repeat(64))).unwrap();
    let alias = Some(Reference::parse("debian:12").unwrap());
    let further = vec![ExpectedParent { name: "slim".into(), given: pinned, alias }];
    assert_eq!(external(&Expectation { further, ..Expectation::default() }), ["quay.io/j/minimal:1"]);
}

mod laws {
    use super::*;
    use proptest::prelude::*;

    fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            "(FROM|COPY|RUN|ARG|ENV|ADD|ONBUILD|from) [a-z$<{}=\"'./*\\[-]{0,12} ?[a-zA-Z$/<]{0,6}\\\\?",
            "[#\\\\ A-Z<'\"\\t]{0,10}",
        ]
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(lines in prop::collection::vec(line(), 0..12), target in "[a-z]{0,2}") {
            let text = lines.join("\n");
            if let Ok(facts) = parse(&text) {
                let (args, triggers) = (map(&[]), Triggers::default());
                let inputs = Inputs { target: Some(&target), args: &args, platform: "linux/amd64", triggers: &triggers };
                let _ = facts.evaluate(&inputs);
                let _ = facts.evaluate(&Inputs { target: None, ..inputs });
                let digest = format!("sha256:{}", "a".repeat(64));
                let pinned = facts.pinned(&Inputs { target: None, ..inputs }, &|i| Some(i.pinned(&digest)));
                let lines = |text: &str| text.matches('\n').count();
                prop_assert!(pinned.is_err() || lines(&pinned.unwrap()) == lines(&text));
            }
        }

        #[test]
        fn a_comment_or_an_empty_line_changes_nothing(at in 0usize..15) {
            let mut lines: Vec<&str> = STAGES.lines().collect();
            lines.insert(at, "# a comment");
            lines.insert(at, "");
            let found = evaluate(&lines.join("\n"), None, &[]).unwrap();
            let before = evaluate(STAGES, None, &[]).unwrap();
            prop_assert_eq!(found.readable, before.readable);
            prop_assert_eq!(found.secrets, before.secrets);
        }
    }
}

/// The text with every image at one digest, `DIGEST` for short.
fn pinned(text: &str, args: &[(&str, &str)]) -> String {
    let digest = format!("sha256:{}", "a".repeat(64));
    let facts = parse(text).unwrap();
    let args = map(args);
    let triggers = Triggers::default();
    let inputs = Inputs { target: None, args: &args, platform: "linux/amd64", triggers: &triggers };
    let new =
        facts.pinned(&inputs, &|image| image.digest().is_none().then(|| image.pinned(&digest))).unwrap();
    // What is sent says the same of the same lines.
    assert_eq!(new.matches('\n').count(), text.matches('\n').count(), "{new}");
    let again = parse(&new).unwrap().evaluate(&inputs).unwrap();
    let before = facts.evaluate(&inputs).unwrap();
    let lines = |e: &Evaluated| e.images.iter().map(|i| i.place.line_column().0).collect::<Vec<_>>();
    assert_eq!(lines(&again), lines(&before));
    assert!(again.images.iter().all(|image| image.reference.digest().is_some()), "{new}");
    assert_eq!((again.readable, again.secrets), (before.readable, before.secrets));
    new.replace(&digest, "DIGEST")
}

#[test]
fn every_way_to_name_an_image_gets_its_digest() {
    for (text, expected) in [
        ("FROM debian:12\n", "FROM debian:12@DIGEST\n"),
        ("from  debian  As x\nFROM x\n", "from  debian:latest@DIGEST  As x\nFROM x\n"),
        (
            "FROM --platform=linux/amd64 reg:5/x/y:1 AS b",
            "FROM --platform=linux/amd64 reg:5/x/y:1@DIGEST AS b",
        ),
        ("ARG I=debian\nARG T=12\nFROM ${I}:$T\n", "ARG I=debian\nARG T=12\nFROM debian:12@DIGEST\n"),
        (
            "FROM a:1\nCOPY --chown=1:1 --from=b:2 /x /y\n",
            "FROM a:1@DIGEST\nCOPY --chown=1:1 --from=b:2@DIGEST /x /y\n",
        ),
        (
            "FROM a:1\nRUN --mount=type=bind,from=b:2,source=/x,target=/y true\n",
            "FROM a:1@DIGEST\nRUN --mount=type=bind,from=b:2@DIGEST,source=/x,target=/y true\n",
        ),
        (
            "FROM a:1\nRUN --mount=from=b:2,target=/b --mount=From=c:3,target=/c true\n",
            "FROM a:1@DIGEST\nRUN --mount=from=b:2@DIGEST,target=/b --mount=From=c:3@DIGEST,target=/c true\n",
        ),
        (
            "FROM a:1\nRUN --mount=\"target=/b c\",from=b:2 true\n",
            "FROM a:1@DIGEST\nRUN --mount=target=/b\\ c,from=b:2@DIGEST true\n",
        ),
        (
            "FROM a:1 AS one\nONBUILD COPY --from=b:2 /x /y\nFROM one\n",
            "FROM a:1@DIGEST AS one\nONBUILD COPY --from=b:2@DIGEST /x /y\nFROM one\n",
        ),
        ("FROM debian\\\n:12 AS x\nRUN true\n", "FROM \\\ndebian:12@DIGEST AS x\nRUN true\n"),
        ("FROM \\\n # why\n\n  debian:12\nRUN true\n", "FROM \\\n # why\n\n  debian:12@DIGEST\nRUN true\n"),
        ("# escape=`\nFROM deb`\nian:12\n", "# escape=`\nFROM `\ndebian:12@DIGEST\n"),
        ("\u{feff}# größe\r\nFROM a:1\r\nRUN true\r\n", "\u{feff}# größe\r\nFROM a:1@DIGEST\r\nRUN true\r\n"),
        ("FROM scratch\nCOPY --from=b:2 /x /\n", "FROM scratch\nCOPY --from=b:2@DIGEST /x /\n"),
    ] {
        assert_eq!(pinned(text, &[]), expected);
    }
}

#[test]
fn what_args_say_with_a_digest_is_sent_as_it_is_written() {
    let given = format!("debian:12@sha256:{}", "b".repeat(64));
    let text = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY x /\n";
    assert_eq!(pinned(text, &[("BASE_IMAGE", &given)]), text);
    let unused = "FROM a:1 AS one\nFROM b:2\n";
    let args = map(&[]);
    let triggers = Triggers::default();
    let inputs = Inputs { target: None, args: &args, platform: "linux/amd64", triggers: &triggers };
    assert_eq!(parse(unused).unwrap().pinned(&inputs, &|_| None).unwrap(), unused);
}
