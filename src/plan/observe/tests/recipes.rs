//! Recipes that must not change by themselves: a recipe that does rebuilds
//! everybody's images. Where one changes on purpose, the golden file shows it.

use super::*;

/// Everything that an image can be made from, with people.
const SPEC: &str = "version: 1
tag: {prefix: \"2026.4\"}
include: [projects/*.yml]
bases: {slim: {image: \"debian:12\"}}
images:
  top: {base: slim, build_args: {PYTHON: \"3.11\", COLOUR: red}, secrets: [token]}
  child: {depend_on: top, packages: {apt: [ffmpeg, git], pip: [\"tqdm>=4\", numpy]}}
  files: {depend_on: top, packages: {requirements: images/files/requirements.txt}}
  join: {depend_on: [child, top], skip_plans: [py312]}
plans:
  py312: {tag_prefix: \"2026.4-py312\", build_args: {PYTHON: \"3.12\"}}
users:
  h.baker@x: {uid: 1722830498, gid: 1722830498, group: student, sudo: true}
  a.other@x: {uid: 1722830499, gid: 2000}
";

const TOP: &str = "# syntax=docker/dockerfile:1
ARG BASE_IMAGE
FROM ${BASE_IMAGE} AS first
ARG PYTHON
RUN --mount=type=secret,id=token echo ${PYTHON} > /version
FROM first
COPY --chmod=755 data bin/* /data/
";

/// `name  content tag` of every image.
fn recipes(made: &Made) -> String {
    made.planned.plan.images.iter().map(|image| format!("{:24} {}\n", image.name, image.content)).collect()
}

fn write_all(stack: &Stack) {
    stack.write("spec.yml", SPEC);
    stack.write("images/top/Dockerfile", TOP);
    stack.write("images/top/data", "data\n");
    stack.write("images/top/bin/tool", "#!/bin/sh\n");
    stack.write("images/top/.dockerignore", "*.md\n");
    stack.write("images/files/requirements.txt", "tqdm==4.67.1 # progress\n-c limits.txt\n");
    stack.write("images/files/limits.txt", "numpy<2\n");
    stack.image(
        "join",
        "ARG BASE_IMAGE\nARG BASE_IMAGE_TOP\nFROM ${BASE_IMAGE_TOP} AS top\nFROM ${BASE_IMAGE}\n\
         COPY --from=top /data /top\nCOPY data /\n",
    );
    stack.write(
        "projects/thesis.yml",
        "thesis: {user: h.baker@x, image: child, packages: {pip: [seaborn]}, jupyter: true}\n",
    );
    stack.write("projects/other.yml", "other: {user: a.other@x, image: child@py312}\n");
    stack.write(
        "projects/own.yml",
        "own: {user: a.other@x, image: top, dockerfile: projects/own/Dockerfile, build_args: {A: b}}\n",
    );
    stack.write("projects/own/Dockerfile", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nARG A\nRUN echo $A\n");
}

#[tokio::test]
async fn recipes_of_every_kind_of_image_stay_as_they_are() {
    let stack = Stack::empty("spec.yml");
    write_all(&stack);
    insta::assert_snapshot!(recipes(&stack.make().await));
}

#[tokio::test]
async fn recipes_of_the_shipped_spec_stay_as_they_are() {
    let stack = Stack::empty("spec.yml");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in [
        "spec.yml",
        "projects/thesis.yml",
        "projects/satellite.yml",
        "images/datascience/Dockerfile",
        "images/datascience/requirements.txt",
        "images/reports/.dockerignore",
        "images/reports/Dockerfile",
        "images/reports/bin/csv-report",
    ] {
        stack.write(name, "");
        // With its mode: whether a file is a program counts.
        std::fs::copy(shipped.join(name), stack.dir.path().join(name)).unwrap();
    }
    for (base, digit) in [("pytorch-2.8.0-aime-cuda12.6.3", "1"), ("tensorflow-2.16.1-cuda12.3", "2")] {
        stack.engine.add_pulled(&reference(&format!("aimehub/{base}")), &digest(digit));
    }
    insta::assert_snapshot!(recipes(&stack.make().await));
}
