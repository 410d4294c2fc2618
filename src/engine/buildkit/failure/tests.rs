use std::collections::BTreeMap;
use std::sync::Arc;

use bollard_buildkit_proto::google::protobuf::Any;

use super::*;
use crate::dockerfile::context::Context;
use crate::dockerfile::ignore::Ignore;
use crate::image::solve::{ConfigChange, DockerfileBuild};
use crate::model::names::NodeName;

fn solve() -> Solve {
    let context = Context {
        id: "c".into(),
        root: "/srv/vision".into(),
        ignore: Ignore::default(),
        readable: [".".into()].into(),
    };
    Solve {
        node: NodeName::new("vision"),
        start: Start::Dockerfile(DockerfileBuild {
            dockerfile: "FROM x\nRUN a \\\n  b\n".into(),
            path: "images/vision/Dockerfile".into(),
            context: Arc::new(context),
            files: Arc::default(),
            target: None,
            args: BTreeMap::new(),
        }),
        steps: Vec::new(),
        user: None,
        sudo: None,
        config: ConfigChange::default(),
        secrets: BTreeMap::new(),
        proxy: BTreeMap::new(),
        no_cache: false,
        cache_from: Vec::new(),
        inline_cache: false,
    }
}

fn failed(text: &str) -> Failure {
    match explain(&solve(), &Status::unknown(text), &JobProgress::default()) {
        SolveError::Failed(failure) => *failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_exit_code_is_the_message() {
    // The words of 20.10, then those of newer engines.
    for text in [
        "executor failed running [/bin/sh -c exit 3]: exit code: 3",
        "process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3",
    ] {
        let failure = failed(text);
        assert_eq!((failure.message.as_str(), failure.exit_code), ("step failed with exit code 3", Some(3)));
        assert!(!failure.engine);
    }
    assert!(failed("exit code: 137").help.unwrap().contains("memory"));
}

#[test]
fn an_unknown_instruction_is_shown_at_its_line() {
    for text in [
        "failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error line 2: unknown instruction: RUNN",
        "dockerfile parse error on line 2: unknown instruction: RUNN",
    ] {
        let failure = failed(text);
        assert!(failure.message.starts_with("dockerfile parse error"), "{}", failure.message);
        assert_eq!(failure.excerpt.unwrap().lines, (2, 2));
    }
}

#[test]
fn lines_are_read_from_the_details_in_both_encodings() {
    let range = pb::Range {
        start: Some(pb::Position { line: 2, character: 0 }),
        end: Some(pb::Position { line: 3, character: 0 }),
    };
    let json = br#"{"info":{"filename":"Dockerfile"},"ranges":[{"start":{"line":2},"end":{"line":3}}]}"#;
    for value in [json.to_vec(), Source { ranges: vec![range] }.encode_to_vec()] {
        let type_url = "github.com/moby/buildkit/errdefs.Source+json".to_owned();
        let details = rpc::Status { details: vec![Any { type_url, value }], ..Default::default() };
        let status = Status::with_details(Code::Unknown, "exit code: 1", details.encode_to_vec().into());
        assert_eq!(ranges(&status), Some((2, 3)));
    }
}

#[test]
fn a_missing_file_names_the_context() {
    let failure = failed("failed to compute cache key: \"/nope\" not found: not found");
    assert_eq!(failure.message, "\"/nope\" not found: not found");
    let help = failure.help.unwrap();
    assert!(help.contains("`nope` is not in the context /srv/vision"), "{help}");
    assert!(!failure.engine);
}

#[test]
fn a_registry_that_does_not_answer_is_not_the_images_fault() {
    for text in [
        "failed to do request: Head \"https://reg.local/v2/x/manifests/1\": dial tcp: lookup reg.local: no such host",
        "pull access denied, repository does not exist or may require authorization",
    ] {
        let failure = failed(text);
        assert!(failure.engine && failure.help.is_some(), "{failure:?}");
    }
}

#[test]
fn a_step_is_located_also_under_its_name_without_cache() {
    let locations = pb::Locations {
        locations: vec![pb::Location {
            source_index: 0,
            ranges: vec![pb::Range { start: Some(pb::Position { line: 7, character: 0 }), end: None }],
        }],
    };
    let source = pb::Source { locations: [("sha256:a".to_owned(), locations)].into(), ..Default::default() };
    assert_eq!(located(&source, "sha256:a"), Some((7, 7)));
    assert_eq!(located(&source, &sha256(b"sha256:a-ignorecache")), Some((7, 7)));
    assert_eq!(located(&source, "sha256:b"), None);
}

#[test]
fn an_unknown_certificate_in_a_steps_output_names_the_ca_bundle() {
    let line = |text: &str| vec![text.to_owned()];
    let help =
        output_help(&line("SSLError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed')"));
    assert!(help.unwrap().contains("--ca-bundle FILE"));
    assert_eq!(output_help(&line("ERROR: No matching distribution found for six==0")), None);
}
