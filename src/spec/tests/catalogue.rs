//! Bases from a catalogue: the program's own, or the one that a spec names.

use std::path::Path;

use super::{files, shown};
use crate::spec::SpecEntry;
use crate::spec::catalog::HostArch;
use crate::spec::files::memory::MemoryFiles;
use crate::spec::{BaseSource, Spec, SpecContext, catalog_file, read};

const SITE: &str = "Pytorch, 3.0.0, [CUDA_ADA;CUDA_BLACKWELL], hub/pytorch-3.0.0\n\
                    Pytorch, 2.9.1, [CUDA_BLACKWELL], hub/pytorch-2.9.1\n";
const SITE_FILE: &str = "/opt/images/ml_images.repo";

fn host(arch: &str) -> HostArch {
    HostArch::Known { arch: arch.into(), source: "MLC_ARCH".into() }
}

fn nobody() -> HostArch {
    HostArch::Unknown("neither CUDA nor ROCm is installed on this machine".into())
}

/// A spec with one base of these fields, behind some lines.
fn base(lines: &str, fields: &str) -> String {
    format!("tag: {{prefix: a}}\n{lines}bases:\n  b: {{catalog: {{{fields}}}}}\n")
}

fn open(files: &MemoryFiles, host: &HostArch) -> Result<Spec, String> {
    let world = SpecContext { arch: host, ..SpecContext::of(files) };
    read(Path::new("/r"), Path::new("spec.yml"), &world).map_err(|problems| shown(&problems))
}

/// Version and architecture of the base, and its image.
fn found(files: &MemoryFiles, host: &HostArch) -> String {
    let spec = open(files, host).unwrap_or_else(|problems| panic!("{problems}"));
    let BaseSource::Catalog { framework, version, arch, image } = &spec.bases[0].source else {
        panic!("a base from the catalogue")
    };
    format!("{framework} {version} {arch} {image}")
}

fn wrong(files: &MemoryFiles, host: &HostArch) -> String {
    open(files, host).expect_err("this spec is wrong")
}

#[test]
fn latest_is_the_row_that_was_found_and_not_the_word() {
    let spec = base("", "framework: pytorch, version: latest, arch: cuda_ada");
    assert_eq!(
        found(&files(&spec), &nobody()),
        "Pytorch 2.8.0-aime CUDA_ADA aimehub/pytorch-2.8.0-aime-cuda12.6.3:latest"
    );
    let spec = open(&files(&spec), &nobody()).unwrap();
    let label = SpecEntry::Base(&spec.bases[0]).catalogue();
    assert_eq!(label, Some(("Pytorch-2.8.0-aime".into(), "CUDA_ADA".into())));
}

#[test]
fn the_catalogue_says_what_it_has() {
    let said = |fields: &str| wrong(&files(&base("", fields)), &nobody());
    assert_eq!(
        said("framework: pytorch, version: 9.9.9, arch: CUDA_ADA"),
        "spec.yml:3:46 the catalogue has no pytorch `9.9.9` for CUDA_ADA | it has: 2.8.0-aime, 2.5.1\n"
    );
    assert_eq!(
        said("framework: Pytorch, version: 2.6.0, arch: CUDA_ADA"),
        "spec.yml:3:46 the catalogue has no Pytorch `2.6.0` for CUDA_ADA | it has: 2.8.0-aime, 2.5.1; \
         that version is there for ROCM6\n"
    );
    assert!(said("framework: Jax, version: latest, arch: CUDA").contains("no framework `Jax`"));
    assert!(said("framework: Mxnet, version: latest, arch: X").contains("no Mxnet for `X` | it has: CUDA"));
    assert!(said("framework: Mxnet, arch: CUDA").contains("the key `version` is missing"));
}

#[test]
fn the_architecture_is_the_specs_else_the_machines() {
    let open = base("", "framework: Pytorch, version: latest");
    assert!(found(&files(&open), &host("CUDA_AMPERE")).starts_with("Pytorch 2.7.1-aime CUDA_AMPERE "));
    let fixed = base("", "framework: Pytorch, version: latest, arch: CUDA_ADA");
    assert!(found(&files(&fixed), &host("CUDA_AMPERE")).starts_with("Pytorch 2.8.0-aime CUDA_ADA "));
    assert_eq!(
        wrong(&files(&base("", "framework: Mxnet, version: latest")), &host("CUDA_ADA")),
        "spec.yml:3:16 the catalogue has no Mxnet for `CUDA_ADA` | it has: CUDA; CUDA_ADA is this machine's \
         (MLC_ARCH), `arch:` asks for another\n"
    );
}

#[test]
fn where_nobody_knows_the_architecture_it_says_what_to_do() {
    let spec = base("", "framework: Pytorch, version: latest");
    assert_eq!(
        wrong(&files(&spec), &nobody()),
        "spec.yml:3:16 nobody says which architecture this base is for: neither CUDA nor ROCm is installed \
         on this machine | write `arch: CUDA_ADA`, or set MLC_ARCH; `ds01-build catalog list --all` shows \
         which there are\n"
    );
}

#[test]
fn a_named_file_stands_in_place_of_the_own_catalogue() {
    let latest = "framework: Pytorch, version: latest, arch: CUDA_ADA";
    let out = files(&base(&format!("catalog: {SITE_FILE}\n"), latest)).file(SITE_FILE, SITE);
    assert_eq!(found(&out, &nobody()), "Pytorch 3.0.0 CUDA_ADA hub/pytorch-3.0.0:latest");
    let inside = files(&base("catalog: site/images.repo\n", latest)).file("/r/site/images.repo", SITE);
    assert_eq!(found(&inside, &nobody()), "Pytorch 3.0.0 CUDA_ADA hub/pytorch-3.0.0:latest");
    let own = "framework: Tensorflow, version: latest, arch: CUDA_ADA";
    let gone = files(&base(&format!("catalog: {SITE_FILE}\n"), own)).file(SITE_FILE, SITE);
    assert_eq!(
        wrong(&gone, &nobody()),
        "spec.yml:4:28 the catalogue /opt/images/ml_images.repo has no framework `Tensorflow` | it has: Pytorch\n"
    );
}

#[test]
fn a_file_that_is_not_there_is_told_at_the_line_that_names_it() {
    let fields = "framework: Pytorch, version: latest, arch: CUDA_ADA";
    let said = |path: &str| wrong(&files(&base(&format!("catalog: {path}\n"), fields)), &nobody());
    assert_eq!(
        said(SITE_FILE),
        "spec.yml:2:10 there is no file `/opt/images/ml_images.repo` | check the path\n"
    );
    assert!(said("site.repo").starts_with("spec.yml:2:10 there is no file `site.repo` | "));
    assert!(said("../site.repo").contains("leaves the folder of the spec"));
    assert!(said("../site.repo").contains("a file elsewhere is named by its absolute path"));
    assert!(said("images").contains("`images` is not a file"));
    assert!(said("/r/images").contains("`images` is not a file"));
    assert!(said("[]").contains("expected text"));
}

#[test]
fn a_broken_file_is_told_by_its_own_lines_and_bases_are_not_blamed() {
    let text = format!("{SITE}Pytorch, 2.8\nPytorch, 2.7, [CUDA_ADA], hub/Upper\n");
    let spec = base(&format!("catalog: {SITE_FILE}\n"), "framework: Jax, version: latest, arch: CUDA_ADA");
    let said = wrong(&files(&spec).file(SITE_FILE, text), &nobody());
    let lines: Vec<_> = said.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(lines, ["/opt/images/ml_images.repo:3:1", "/opt/images/ml_images.repo:4:27"], "{said}");
}

#[test]
fn the_file_is_found_in_a_spec_that_is_wrong_elsewhere() {
    let spec = format!("catalog: {SITE_FILE}\nbases: [nonsense]\nextra: 1\n");
    let files = files(&spec).file(SITE_FILE, SITE);
    let named =
        catalog_file(Path::new("/r"), Path::new("spec.yml"), &SpecContext::of(&files)).unwrap().unwrap();
    assert_eq!((named.path.to_str(), named.text.as_str()), (Some(SITE_FILE), SITE));
    let none = super::files("bases: {}\n");
    assert!(catalog_file(Path::new("/r"), Path::new("spec.yml"), &SpecContext::of(&none)).unwrap().is_none());
}
