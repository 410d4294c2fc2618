//! Package steps as RUN with the mounts that they have in a build.

use super::quote;
use crate::image::solve::ExecStep;

/// The instruction of one step.
///
/// # Errors
/// It has a file outside the folders that vanish with it.
pub(crate) fn run(step: &ExecStep, escape: char) -> Result<String, String> {
    let tmpfs = step.tmpfs.iter().map(|target| format!("--mount=type=tmpfs,target={target}"));
    // Locked also where sharing would do: slower at most.
    let cache = |(target, id): (&String, &String)| {
        format!("--mount=type=cache,id={id},target={target},sharing=locked")
    };
    let secret = |(target, id): (&String, &String)| {
        format!("--mount=type=secret,id={id},target={target},mode=0400,required=true")
    };
    let caches = step.caches.iter().map(cache);
    let mounts = tmpfs.chain(caches).chain(step.secrets.iter().map(secret));
    let mounts: String = mounts.map(|mount| format!("{mount} {escape}\n    ")).collect();
    let mut script = String::from("set -eu; cd /");
    for path in step.files.keys() {
        if !step.tmpfs.iter().any(|folder| path.starts_with(&format!("{folder}/"))) {
            return Err(format!("`{path}`, which a step reads, would stay in the image"));
        }
        let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
        script.push_str(&format!(
            "; mkdir -p {}; printf %s \"$1\" > {}; shift",
            quote::shell(folder),
            quote::shell(path)
        ));
    }
    script.push_str("; exec \"$@\"");
    let set = step.env.iter().map(|(name, value)| format!("{name}={value}"));
    let env = (!step.env.is_empty()).then(|| "env".to_owned()).into_iter().chain(set);
    let shell = ["/bin/sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()].into_iter();
    let words: Vec<String> =
        shell.chain(step.files.values().cloned()).chain(env).chain(step.argv.iter().cloned()).collect();
    Ok(format!(
        "# {}\nRUN {mounts}{}\n",
        step.title.replace(['\n', '\r'], " "),
        quote::vector(&words, 1, escape)
    ))
}
