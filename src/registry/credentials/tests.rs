use super::*;

/// Logs `host` in by a `config.json` that says this.
async fn of(config: &str, host: &str) -> Option<Login> {
    found(&[config], host).await.unwrap()
}

/// By several files, in this order.
async fn found(files: &[&str], host: &str) -> Result<Option<Login>, String> {
    let folder = tempfile::tempdir().unwrap();
    let paths = files.iter().enumerate().map(|(n, text)| {
        let path = folder.path().join(format!("{n}.json"));
        std::fs::write(&path, text).unwrap();
        path
    });
    let found = Credentials::new(None, paths).of(host).await;
    found.map(|found| found.map(|(login, _)| login)).map_err(|error| error.to_string())
}

fn password(username: &str, password: &str) -> Option<Login> {
    Some(Login::Password { username: username.into(), password: password.into() })
}

#[tokio::test]
async fn a_password_is_found_by_host_also_under_an_old_url() {
    let config = r#"{"auths": {"reg.local:5000": {"auth": "YWRhOnBhOnNz"},
        "https://old.local/v1/": {"auth": "Ym9iOnB3"}, "empty.local": {}}}"#;
    assert_eq!(of(config, "reg.local:5000").await, password("ada", "pa:ss"));
    assert_eq!(of(config, "old.local").await, password("bob", "pw"));
    assert_eq!(of(config, "empty.local").await, None);
    assert_eq!(of(config, "other.local").await, None);
}

#[tokio::test]
async fn the_host_s_own_key_counts_before_addresses_and_paths_of_it() {
    let config = r#"{"auths": {"REG.local/team/x": {"auth": "dGVhbTpwdw=="},
        "http://reg.local/v2/": {"auth": "b2xkOnB3"}, "reg.local": {}}}"#;
    assert_eq!(of(config, "reg.local").await, password("team", "pw"));
    let own = config.replace("{}", r#"{"username": "ada", "password": "pw"}"#);
    assert_eq!(of(&own, "reg.local").await, password("ada", "pw"));
    assert_eq!(of(&own, "reg.local:5000").await, None);
}

#[tokio::test]
async fn it_is_told_where_a_login_comes_from_and_not_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    std::fs::write(&path, r#"{"auths": {"reg.local": {"auth": "YWRhOnB3"}}}"#).unwrap();
    let credentials = Credentials::new(None, [path.clone()]);
    let (_, source) = credentials.of("reg.local").await.unwrap().unwrap();
    assert_eq!(source, Source::Config(Place::File(path)));
    assert!(credentials.of("other.local").await.unwrap().is_none());
    assert_eq!(Source::Helper("pass".into()).to_string(), "docker-credential-pass");
}

#[tokio::test]
async fn docker_hub_is_kept_under_its_own_key() {
    let token = Some(Login::IdentityToken("t".into()));
    for key in ["https://index.docker.io/v1/", "docker.io", "index.docker.io/v1"] {
        let config = format!(r#"{{"auths": {{"{key}": {{"identitytoken": "t"}}}}}}"#);
        assert_eq!(of(&config, "registry-1.docker.io").await, token, "{key}");
        assert_eq!(of(&config, "docker.io").await, token, "{key}");
    }
}

#[tokio::test]
async fn a_missing_helper_is_an_error_that_names_it_where_nothing_else_is_known() {
    let helper = r#"{"credHelpers": {"reg.local": "no-such-helper"}}"#;
    let error = found(&[helper], "reg.local").await.unwrap_err();
    assert!(error.contains("docker-credential-no-such-helper on PATH"), "{error}");
    assert_eq!(of(helper, "other.local").await, None);
    let store = r#"{"credsStore": "no-such-helper", "auths": {"reg.local": {"auth": "YWRhOnB3"}}}"#;
    assert_eq!(of(store, "reg.local").await, password("ada", "pw"));
    assert_eq!(found(&[helper, store], "reg.local").await, Ok(password("ada", "pw")));
}

#[tokio::test]
async fn a_host_s_empty_helper_means_the_file() {
    let config = r#"{"credsStore": "no-such-helper", "credHelpers": {"reg.local": ""}}"#;
    assert_eq!(of(config, "reg.local").await, None);
}

#[tokio::test]
async fn the_first_source_with_a_login_counts_and_a_broken_one_only_where_none_has() {
    let (ada, bob) = (
        r#"{"auths": {"reg.local": {"auth": "YWRhOnB3"}}}"#,
        r#"{"auths": {"reg.local": {"auth": "Ym9iOnB3"}, "b.local": {"auth": "Ym9iOnB3"}}}"#,
    );
    assert_eq!(found(&[ada, bob], "reg.local").await, Ok(password("ada", "pw")));
    assert_eq!(found(&[ada, bob], "b.local").await, Ok(password("bob", "pw")));
    assert_eq!(found(&["not json", bob], "b.local").await, Ok(password("bob", "pw")));
    let error = found(&["not json", ada], "b.local").await.unwrap_err();
    assert!(error.contains("0.json: it is not JSON"), "{error}");

    let variable = Credentials::new(Some(bob.into()), []);
    let (login, source) = variable.of("reg.local").await.unwrap().unwrap();
    assert_eq!((Some(login), source.to_string()), (password("bob", "pw"), "DOCKER_AUTH_CONFIG".into()));
    let path = Credentials::new(Some("/etc/auth.json".into()), []).of("x").await.unwrap_err().to_string();
    assert!(path.starts_with("cannot read DOCKER_AUTH_CONFIG: it is not JSON"), "{path}");
}

#[tokio::test]
async fn a_login_that_cannot_be_decoded_is_named_and_not_shown() {
    let config = r#"{"auths": {"https://reg.local/v1/": {"auth": "hunter2"}}}"#;
    let error = found(&[config], "reg.local").await.unwrap_err();
    assert!(
        error.contains("the `auth` of `https://reg.local/v1/` in ") && error.contains("0.json"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
    assert_eq!(of(config, "other.local").await, None);
}

#[tokio::test]
async fn without_a_configuration_there_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Credentials::new(None, [folder.path().join("config.json")]);
    assert!(missing.of("x").await.unwrap().is_none());
    assert!(Credentials::default().of("x").await.unwrap().is_none());
}

#[test]
fn a_login_is_never_printed() {
    let login = Login::Password { username: "ada".into(), password: "hunter2".into() };
    assert!(!format!("{login:?}").contains("hunter2"));
    let credentials = Credentials::new(Some("hunter2".into()), []);
    assert!(!format!("{credentials:?}").contains("hunter2"));
}
