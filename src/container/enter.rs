//! What runs in a container for somebody who enters it. Pure.

use crate::engine::{Container, ContainerDetail, Exec};
use crate::model::labels::read;

/// Opens the account's own shell. No program but the shell itself is relied
/// on, since a small image has neither `getent` nor `awk`. It is not told to be
/// a login shell: `/etc/profile` of most systems replaces PATH, and with it the
/// image's own Python would be gone.
const SHELL: &str = r#"
me=$(id -u 2>/dev/null) shell=
while IFS=: read -r name _ uid _ _ _ last || [ -n "$uid" ]; do
  if [ "$uid" = "$me" ]; then shell=$last; export LOGNAME="$name" USER="$name"; break; fi
  uid=
done 2>/dev/null </etc/passwd
case $shell in */nologin | */false) shell= ;; esac
if [ ! -x "$shell" ]; then
  shell=/bin/sh
  if [ -x /bin/bash ]; then shell=/bin/bash; fi
fi
export SHELL="$shell"
exec "$shell"
"#;

/// The program to run: this command, or a shell where it is empty; `terminal`
/// is `$TERM` of the terminal in front of which somebody sits. As the container's own user; where that is root, as the
/// account that the container's labels or its name say it was made for.
pub(crate) fn program(
    command: &[String],
    terminal: Option<&str>,
    container: &Container,
    detail: Option<&ContainerDetail>,
) -> Exec {
    let command = match command {
        [] => ["/bin/sh", "-c", SHELL, "sh"].map(str::to_owned).to_vec(),
        command => command.to_vec(),
    };
    Exec {
        command,
        user: account(container, detail.map_or("", |detail| &detail.user)),
        workdir: String::new(),
        env: terminal.iter().map(|term| format!("TERM={term}")).collect(),
        tty: terminal.is_some(),
        stdin: true,
    }
}

/// Empty: the container's own user.
fn account(container: &Container, own: &str) -> String {
    if !matches!(own.split(':').next(), Some("" | "0" | "root")) {
        return String::new();
    }
    if let Some(setup) = read::user_setup(&container.labels) {
        return format!("{}:{}", setup.uid, setup.gid);
    }
    container.uid().map(|uid| uid.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::ImageId;

    fn user(name: &str, labels: &[(&str, &str)], own: &str) -> String {
        let container = Container {
            id: "1".into(),
            name: name.into(),
            image: "x".into(),
            image_id: ImageId::new("sha256:1"),
            labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            state: "running".into(),
            status: "Up".into(),
            created: 0,
        };
        let detail = ContainerDetail { user: own.into(), ..ContainerDetail::default() };
        program(&[], None, &container, Some(&detail)).user
    }

    #[test]
    fn nobody_is_root_in_a_container_that_was_made_for_an_account() {
        let setup = [("ds01.has_user_setup", "true"), ("ds01.user_id", "1001"), ("ds01.group_id", "2001")];
        let old = [
            ("aime.mlc.DS01_HAS_USER_SETUP", "true"),
            ("aime.mlc.DS01_USER_ID", "1001"),
            ("aime.mlc.DS01_GROUP_ID", "2001"),
        ];
        for root in ["", "0", "root", "0:0", "root:root"] {
            assert_eq!(user("thesis._.1001", &setup, root), "1001:2001");
            assert_eq!(user("thesis._.1001", &old, root), "1001:2001");
            assert_eq!(user("thesis._.1001", &[], root), "1001", "as the name says");
            assert_eq!(user("code", &[], root), "", "made for nobody: the container's own user");
        }
        for own in ["1001:2001", "1001", "ann", "node"] {
            assert_eq!(user("thesis._.1001", &setup, own), "", "the container's own user");
        }
    }

    #[test]
    fn a_terminal_is_given_only_where_there_is_one() {
        let container = Container {
            id: "1".into(),
            name: "x".into(),
            image: "x".into(),
            image_id: ImageId::new("sha256:1"),
            labels: [].into(),
            state: "running".into(),
            status: "Up".into(),
            created: 0,
        };
        let words = vec!["python".to_owned(), "a b.py".to_owned()];
        let exec = program(&words, Some("xterm"), &container, None);
        assert_eq!((exec.command, exec.tty, exec.stdin), (words.clone(), true, true));
        assert_eq!(exec.env, ["TERM=xterm"]);
        let exec = program(&words, None, &container, None);
        assert_eq!((exec.command, exec.tty, exec.stdin, exec.env), (words, false, true, Vec::new()));
    }
}
