//! Docker's own client.

use std::process::Command;

/// Runs Docker's own client; its output without the last newline.
pub fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().expect("docker is installed");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {args:?}: {stderr}");
    String::from_utf8(output.stdout).expect("docker writes UTF-8").trim_end().to_owned()
}

/// One value of an image, by a Go template.
pub fn inspect(image: &str, template: &str) -> String {
    docker(&["image", "inspect", "--format", template, image])
}
