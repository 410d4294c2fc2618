//! One spec with something wrong in every section, all told at once.

use super::{files, wrong};

pub(crate) const SPEC: &str = r#"version: 2
registry: https://registry.example.org/ds01
tag: {prefix: 2026.10, stabel: stable}
include: [projects/*.yml, people/list.yml, ../other/*.yml]
bases:
  pytorch: {catalog: {framework: Pytorch, version: "2.9.9", arch: CUDA_ADA}}
  slim: {image: "debian::12"}
  app: {image: "debian:12"}
images:
  app:
    base: pytroch
    build_args: {1X: a, GOOD: 3.10, LONG: "a\nb"}
    info_cmds: [PY_VR]
  vision:
    depend_on: [loop-b, nowhere]
    packages: {apt: ["git;id"], pip: ["--index-url=x"], conda: [a]}
    integration_tests: yes
  loop-a: {depend_on: vision, packages: {apt: [git]}}
  loop-b: {depend_on: loop-a, packages: {apt: [git]}}
  Upper/Case: {base: slim, packages: {apt: [git]}}
  rstudio:
    base: slim
    image_name: ds01/vision
    context: ../..
    skip_plans: [py31]
  vision: {base: slim}
plans:
  py312: {tag_prefix: "2026.4 py312", tag_stable_postfix: x}
  py313: {build_args: []}
all_info_cmds:
  PY_VER: {command: python3 --version}
users:
  root@x: {uid: 0}
  h.baker@hertie-school.lan: {uid: 1722830498, gid: 1722830498, group: students}
  h-baker@example.org: {uid: 1001, shell: bash}
  204214: {uid: 1001, sudo: "true"}
limits:
  default_group: studnt
  groups: {student: {memory: 32, cpus: many}}
build: {pip_index: "https://me:secret@pypi.example.org/simple"}
insecure_registries: ["http://gpu1:5000", gpu1, "gpu2:5000"]
extra: 1
"#;

const THESIS: &str = "thesis:
  user: h.baker@hertie-school.lam
  image: visoin
  packages: {pip: [timm]}
  jupyter: maybe
paper: {user: h-baker@example.org, image: vision@py311, use_case: nlp}
";

#[test]
fn every_problem_of_a_broken_spec_is_told_at_once() {
    let files = files(SPEC).file("/r/projects/a.yml", "t: [1\nx: 2\n").file("/r/projects/thesis.yml", THESIS);
    insta::assert_snapshot!(wrong(&files));
}
