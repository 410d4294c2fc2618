//! Both forms of a catalogue, what is wrong with them, and look-ups.

use std::fmt::Write;

use proptest::prelude::*;

use super::*;
use crate::model::problem::Problem;

/// Every way in which rows are written, in a file of an older kind that someone
/// edited on another system.
const QUIRKS: &str = "\u{feff}Pytorch,2.9.0,[CUDA_ADA;CUDA_BLACKWELL],hub/pytorch-2.9.0\r\n\
    \r\n\
    # newest first\n\
    \t Pytorch ,  2.8.0-x, [ CUDA_ADA ; CUDA_AMPERE ] ,hub/pytorch-2.8.0-x  \n\
    Pytorch, 2.7.0+r1, CUDA_AMPERE, reg.example.org:5000/pytorch:2.7.0\n\
    \n\
    Tensorflow, 1.15.4-n, [CUDA_AMPERE], hub/tensorflow-1.15.4-n-new\n\
    Tensorflow, 1.15.4-n, CUDA_AMPERE, hub/tensorflow-1.15.4-n-old\n\
    ROCM, 5.4.2, [ROCM5], rocm/dev-ubuntu-20.04:5.4.2-complete";

fn reading(text: &str) -> ParsedCatalog {
    read(&Arc::new(SourceFile::new("ml_images.repo", text)))
}

fn right(text: &str) -> Catalog {
    let reading = reading(text);
    assert_eq!(shown(&reading.errors), "");
    reading.catalog
}

/// `line:column message | help` a line.
fn shown(problems: &[Problem]) -> String {
    let line = |problem: &Problem| {
        let (line, column) = problem.place.as_ref().unwrap().line_column();
        let help = problem.help.as_deref().map_or(String::new(), |help| format!(" | {help}"));
        format!("{line}:{column} {}{help}\n", problem.message)
    };
    problems.iter().map(line).collect()
}

fn image(catalog: &Catalog, framework: &str, version: &str, arch: &str) -> String {
    catalog.find(framework, version, arch).unwrap().row.image.to_string()
}

#[test]
fn the_programs_own_catalogue_is_right() {
    let own = own();
    assert_eq!(shown(&own.errors) + &shown(&own.warnings), "");
    assert_eq!(Catalog::own().rows().len(), 9);
    assert_eq!(
        image(Catalog::own(), "pytorch", "latest", "cuda_ada"),
        "aimehub/pytorch-2.8.0-aime-cuda12.6.3:latest"
    );
    assert_eq!(image(Catalog::own(), "ROCM", "5.4.2", "ROCM5"), "rocm/dev-ubuntu-20.04:5.4.2-complete");
}

#[test]
fn rows_are_read_in_every_way_they_are_written() {
    let catalog = right(QUIRKS);
    let lines: Vec<_> = catalog.rows().iter().map(|row| row.line).collect();
    assert_eq!(lines, [1, 4, 5, 7, 8, 9]);
    assert_eq!(catalog.rows()[1].archs, ["CUDA_ADA", "CUDA_AMPERE"]);
    assert_eq!(catalog.rows()[2].version, "2.7.0+r1");
    assert_eq!(image(&catalog, "Pytorch", "2.7.0+r1", "CUDA_AMPERE"), "reg.example.org:5000/pytorch:2.7.0");
}

#[test]
fn latest_is_the_first_row_of_an_architecture_also_among_several() {
    let catalog = right(QUIRKS);
    assert_eq!(image(&catalog, "Pytorch", "latest", "CUDA_BLACKWELL"), "hub/pytorch-2.9.0:latest");
    assert_eq!(image(&catalog, "Pytorch", "latest", "CUDA_ADA"), "hub/pytorch-2.9.0:latest");
    assert_eq!(image(&catalog, "PYTORCH", "latest", "cuda_ampere"), "hub/pytorch-2.8.0-x:latest");
    let latest: Vec<_> = catalog.rows().iter().map(|row| catalog.latest_for(row)).collect();
    assert_eq!(
        latest,
        [&["CUDA_ADA", "CUDA_BLACKWELL"][..], &["CUDA_AMPERE"], &[], &["CUDA_AMPERE"], &[], &["ROCM5"]]
    );
}

#[test]
fn of_two_rows_with_one_key_the_first_counts_and_the_second_is_told() {
    let reading = reading(QUIRKS);
    assert_eq!(
        shown(&reading.warnings),
        "8:1 Tensorflow 1.15.4-n for CUDA_AMPERE stands in line 7 already | line 7 is the one that counts; remove the other\n"
    );
    assert_eq!(
        image(&reading.catalog, "Tensorflow", "1.15.4-n", "CUDA_AMPERE"),
        "hub/tensorflow-1.15.4-n-new:latest"
    );
    let twice = self::reading("F, 1, [A;B;a], x/one\nf, 1, [C;b], x/two\n");
    assert_eq!(
        shown(&twice.warnings),
        "1:1 F 1 for a stands twice in this row | write it once\n\
         2:1 f 1 for b stands in line 1 already | line 1 is the one that counts; remove the other\n"
    );
}

#[test]
fn everything_that_is_wrong_is_told_with_its_line() {
    let text = "Pytorch, 2.9.0, [CUDA_ADA], hub/Pytorch\n\
                Pytorch, 2.9.0, [CUDA_ADA, CUDA_AMPERE], hub/pytorch\n\
                Pytorch, 2.9.0\n\
                \n\
                Py torch, , [CUDA_ADA;], hub/pytorch\n\
                Pytorch, 2.9.0, [CUDA_ADA, hub/pytorch\n\
                Pytorch, 2.9.0, [], \n\
                Größe, 1, A, x/y\n\
                Pytorch, 2.8.0, [CUDA_ADA], hub/right\n";
    let reading = reading(text);
    insta::assert_snapshot!(shown(&reading.errors));
    assert_eq!(reading.catalog.rows().len(), 1);
    assert_eq!(shown(&self::reading("\n# nothing\n").errors).lines().count(), 1);
    assert!(shown(&self::reading("").errors).starts_with("1:1 a catalogue without rows"));
}

#[test]
fn our_own_form_is_four_words_a_line() {
    let text = "ds01-catalogue 1\n# a comment\nJax\t0.5  CUDA_ADA,CUDA_BLACKWELL  reg.example.org/jax:0.5\n";
    let catalog = right(text);
    assert_eq!(catalog.rows()[0].archs, ["CUDA_ADA", "CUDA_BLACKWELL"]);
    assert_eq!(image(&catalog, "jax", "latest", "CUDA_BLACKWELL"), "reg.example.org/jax:0.5");
    let wrong = reading("ds01-catalogue 1\nJax 0.5 CUDA_ADA\nJax, 0.5, [A], x\n");
    insta::assert_snapshot!(shown(&wrong.errors));
}

#[test]
fn a_miss_lists_what_there_is_and_where_else_it_would_be() {
    let own = Catalog::own();
    let miss = |framework, version, arch| {
        let miss = own.find(framework, version, arch).unwrap_err();
        format!("{} | {}", miss.message(own, framework, version, arch), miss.help())
    };
    assert_eq!(
        miss("Jax", "1", "CUDA"),
        "the catalogue has no framework `Jax` | it has: Pytorch, Tensorflow, Mxnet, ROCM"
    );
    assert_eq!(
        miss("Tensorflow", "latest", "ROCM6"),
        "the catalogue has no Tensorflow for `ROCM6` | it has: CUDA_ADA, CUDA_AMPERE"
    );
    assert_eq!(
        miss("Pytorch", "9.9", "CUDA_ADA"),
        "the catalogue has no Pytorch `9.9` for CUDA_ADA | it has: 2.8.0-aime, 2.5.1"
    );
    assert_eq!(
        miss("Pytorch", "2.9.1", "CUDA_ADA"),
        "the catalogue has no Pytorch `2.9.1` for CUDA_ADA | it has: 2.8.0-aime, 2.5.1; that version is there for CUDA_BLACKWELL"
    );
}

/// As many rows as a catalogue of many years has.
#[test]
fn a_long_catalogue_is_read_whole() {
    let mut text = String::new();
    for minor in (0..39).rev() {
        writeln!(text, "Pytorch, 2.{minor}.0, [CUDA_ADA;CUDA_BLACKWELL], hub/pytorch-2.{minor}.0").unwrap();
        writeln!(text, "Pytorch, 2.{minor}.0, CUDA_AMPERE, hub/pytorch-2.{minor}.0-ampere").unwrap();
        writeln!(text, "Tensorflow, 2.{minor}.0, [ROCM6], hub/tensorflow-2.{minor}.0").unwrap();
    }
    let reading = reading(&text);
    assert_eq!(shown(&reading.errors) + &shown(&reading.warnings), "");
    assert_eq!(reading.catalog.rows().len(), 117);
    assert_eq!(
        image(&reading.catalog, "Pytorch", "latest", "CUDA_AMPERE"),
        "hub/pytorch-2.38.0-ampere:latest"
    );
}

proptest! {
    #[test]
    fn any_text_gives_rows_or_places_within_it(text in "([A-Za-z0-9 ,;\\[\\]\\./:#é\r]{0,40}\n){0,6}") {
        let reading = reading(&text);
        prop_assert!(!reading.catalog.rows().is_empty() || !reading.errors.is_empty());
        for problem in reading.errors.iter().chain(&reading.warnings) {
            let place = problem.place.as_ref().unwrap();
            prop_assert!(text.get(place.span.clone()).is_some());
        }
    }

    #[test]
    fn what_is_written_in_either_form_is_read_back(
        words in prop::collection::vec("[A-Za-z0-9][A-Za-z0-9._+-]{0,8}", 3..6),
    ) {
        let archs = &words[2..];
        let aime = format!(" {} ,{}, [{}], x/y:1", words[0], words[1], archs.join(" ; "));
        let own = format!("ds01-catalogue 1\n{} {}  {} x/y:1", words[0], words[1], archs.join(","));
        for text in [aime, own] {
            let catalog = right(&text);
            let row = &catalog.rows()[0];
            prop_assert_eq!([&row.framework, &row.version], [&words[0], &words[1]]);
            prop_assert_eq!(&row.archs[..], archs);
        }
    }
}
