//! Credential helpers: programs named `docker-credential-<name>`.

use std::io::ErrorKind;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use super::Login;
use crate::host::process;
use crate::registry::docker_config::text_of;

/// A helper that waits for a person would hold up the build for ever.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs `docker-credential-<name> get`; `None`: it has no login for that host.
///
/// # Errors
/// The cause, which holds nothing of what the helper wrote.
pub(super) async fn ask(helper: &str, key: &str) -> Result<Option<Login>, String> {
    let program = format!("docker-credential-{helper}");
    let mut command = Command::new(&program);
    command.arg("get").stdout(Stdio::piped()).stderr(Stdio::null());
    match process::run(command, key.as_bytes(), tokio::time::sleep(LIMIT)).await {
        Ok(Some(output)) => parse(&output),
        Ok(None) => Err("it does not answer".into()),
        Err(e) if e.kind() == ErrorKind::NotFound => Err(format!("there is no {program} on PATH")),
        Err(e) => Err(e.to_string()),
    }
}

fn parse(output: &Output) -> Result<Option<Login>, String> {
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stdout);
        // The sentence that all helpers share.
        return if text.contains("credentials not found") {
            Ok(None)
        } else {
            Err(output.status.to_string())
        };
    }
    let answer = match serde_json::from_slice(&output.stdout) {
        Ok(Value::Object(answer)) => answer,
        _ => return Err("its answer is not a JSON object".into()),
    };
    let (username, secret) = (text_of(&answer, "Username")?, text_of(&answer, "Secret")?);
    // Some answer so where they have nothing; engines send neither half alone.
    if username.is_empty() || secret.is_empty() {
        return Ok(None);
    }
    Ok(Some(match username.as_str() {
        "<token>" => Login::IdentityToken(secret),
        _ => Login::Password { username, password: secret },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a helper is taken to say that prints `stdout` and ends with `code`.
    fn parsed(stdout: &str, code: i32) -> Result<Option<Login>, String> {
        use std::os::unix::process::ExitStatusExt;
        let status = std::process::ExitStatus::from_raw(code << 8);
        parse(&Output { status, stdout: stdout.into(), stderr: Vec::new() })
    }

    fn password(username: &str, password: &str) -> Option<Login> {
        Some(Login::Password { username: username.into(), password: password.into() })
    }

    #[test]
    fn a_helper_gives_a_password_or_a_token_or_knows_none() {
        let answer = r#"{"ServerURL":"reg.local","Username":"ada","Secret":"pw"}"#;
        assert_eq!(parsed(answer, 0), Ok(password("ada", "pw")));
        let token = r#"{"ServerURL":"reg.local","Username":"<token>","Secret":"t"}"#;
        assert_eq!(parsed(token, 0), Ok(Some(Login::IdentityToken("t".into()))));
        assert_eq!(parsed("credentials not found in native keychain\n", 1), Ok(None));
    }

    #[test]
    fn the_names_of_its_answer_may_have_other_capitals() {
        assert_eq!(parsed(r#"{"username":"ada","SECRET":"pw"}"#, 0), Ok(password("ada", "pw")));
    }

    #[test]
    fn an_empty_answer_is_no_login() {
        let empty = r#"{"ServerURL":"x","Username":"","Secret":""}"#;
        for empty in [empty, "{}", r#"{"Username":null}"#, r#"{"Username":"ada"}"#, r#"{"Secret":"x"}"#] {
            assert_eq!(parsed(empty, 0), Ok(None), "{empty}");
        }
    }

    #[test]
    fn what_a_broken_helper_prints_is_not_repeated() {
        let locked = parsed("hunter2", 1).unwrap_err();
        assert!(locked.contains("exit status: 1") && !locked.contains("hunter2"), "{locked}");
        for half in [r#"{"Secret":"hunter2""#, r#""hunter2""#, r#"{"Secret":["hunter2"]}"#] {
            let error = parsed(half, 0).unwrap_err();
            assert!(error.contains("is not a") && !error.contains("hunter2"), "{error}");
        }
    }
}
