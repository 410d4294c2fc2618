//! Registries that ask who is there.

use super::*;

const BASIC: &str = "Basic YWRhOnBh";

/// A folder with a `config.json` that logs in to the host.
fn config(host: &str, auth: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(r#"{{"auths": {{"{host}": {auth}}}}}"#);
    std::fs::write(folder.path().join("config.json"), text).unwrap();
    folder
}

fn client_with(folder: &tempfile::TempDir) -> Registries {
    let credentials = Credentials::new(None, [folder.path().join("config.json")]);
    Registries::new(Options { credentials, retry: retry(), ..Options::default() })
}

const PASSWORD: &str = r#"{"auth": "YWRhOnBh"}"#;

fn challenged(with: String) -> Reply {
    Reply::Status(401, vec![("www-authenticate", with)], String::new())
}

/// Wants a token for each repository; grants what `grants` says of the scopes
/// in the query, as `token-<scopes joined by |>`.
async fn with_tokens(grants: fn(&Asked) -> Reply) -> Server {
    Server::start(move |asked, _| {
        let path = asked.line.split(' ').nth(1).unwrap();
        if path.starts_with("/token") {
            return grants(asked);
        }
        let name = path.strip_prefix("/v2/").and_then(|rest| rest.split_once("/manifests/")).unwrap().0;
        let granted = asked.authorization().strip_prefix("Bearer token-").unwrap_or_default();
        if granted.split('|').any(|scope| scope == format!("repository:{name}:pull")) {
            return there();
        }
        let host = &asked.headers["host"];
        challenged(format!(r#"Bearer realm="http://{host}/token",service="the registry""#))
    })
    .await
}

/// The scopes of a token's query.
fn scopes(asked: &Asked) -> Vec<String> {
    let path = asked.line.split(' ').nth(1).unwrap();
    let url = transport::Url::parse(&format!("http://x{path}")).unwrap();
    let scopes = url.query_pairs().filter(|(name, _)| name == "scope");
    scopes.map(|(_, scope)| scope.into_owned()).collect()
}

fn granted(scopes: &[String]) -> Reply {
    Reply::Status(200, Vec::new(), format!(r#"{{"token": "token-{}", "expires_in": 300}}"#, scopes.join("|")))
}

#[tokio::test]
async fn a_password_is_sent_where_it_is_asked_for_and_remembered() {
    let server = Server::start(|asked, _| match asked.authorization() {
        BASIC => there(),
        _ => challenged(r#"Basic realm="x""#.into()),
    })
    .await;
    let folder = config(&server.host, PASSWORD);
    let client = client_with(&folder);
    for _ in 0..3 {
        assert_eq!(client.digest(&image(&server, "x:v1")).await, Ok(Some(DIGEST.into())));
    }
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn a_wrong_password_or_none_is_told_without_showing_it() {
    let server = Server::start(|_, _| challenged(r#"Basic realm="x""#.into())).await;
    let folder = config(&server.host, PASSWORD);
    let error = client_with(&folder).digest(&image(&server, "x:v1")).await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert!(cause(&error).contains("/config.json is not enough: 401"), "{error}");
    assert!(!format!("{error} {error:?}").contains("YWRhOnBh"));
    let error = client().digest(&image(&server, "x:v1")).await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert!(cause(&error).contains("there is none"), "{error}");
}

#[tokio::test]
async fn a_token_is_fetched_with_the_password_for_what_is_asked() {
    let server = with_tokens(|asked| match asked.authorization() {
        BASIC => granted(&scopes(asked)),
        _ => status(401),
    })
    .await;
    let folder = config(&server.host, PASSWORD);
    let client = client_with(&folder);
    assert_eq!(client.digest(&image(&server, "ds01/x:v1")).await, Ok(Some(DIGEST.into())));
    assert_eq!(client.digest(&image(&server, "ds01/x:v2")).await, Ok(Some(DIGEST.into())));
    assert_eq!(server.asked().len(), 4);
    assert!(server.asked()[1].line.contains("service=the+registry&scope=repository%3Ads01%2Fx%3Apull"));
    let error = super::client().digest(&image(&server, "ds01/x:v1")).await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
}

#[tokio::test]
async fn one_token_serves_two_hundred_questions() {
    let server = with_tokens(|asked| granted(&scopes(asked))).await;
    let client = client();
    let names = |n: usize| format!("x{}:v{}", n % 40, n / 40);
    let images: Vec<_> = (0..200).map(|n| image(&server, &names(n))).collect();
    try_join_all(images.iter().map(|image| client.digest(image))).await.unwrap();
    assert_eq!(server.count("GET /token"), 1);
    // And the one that found out that tokens are wanted.
    assert_eq!(server.count("HEAD"), 201);
}

#[tokio::test]
async fn a_server_that_grants_one_repository_at_a_time_is_asked_so() {
    let only_first = |asked: &Asked| granted(&scopes(asked)[..1]);
    let refuses_many = |asked: &Asked| match scopes(asked).as_slice() {
        [one] => granted(std::slice::from_ref(one)),
        _ => status(400),
    };
    for grants in [only_first as fn(&Asked) -> Reply, refuses_many] {
        let server = with_tokens(grants).await;
        let client = client();
        let images: Vec<_> = (0..20).map(|n| image(&server, &format!("x{n}:v1"))).collect();
        let digests = try_join_all(images.iter().map(|image| client.digest(image))).await.unwrap();
        assert!(digests.iter().all(|digest| digest.as_deref() == Some(DIGEST)));
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once() {
    let server = with_tokens(|_| granted(&["repository:other:pull".into()])).await;
    let error = client().digest(&image(&server, "x:v1")).await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert_eq!((server.count("HEAD"), server.count("GET /token")), (3, 2));
}

#[tokio::test]
async fn an_identity_token_is_traded_for_a_token() {
    let server = with_tokens(|asked| {
        let right = asked.line.starts_with("POST")
            && asked.body.contains("grant_type=refresh_token")
            && asked.body.contains("refresh_token=r-1")
            && asked.body.contains("scope=repository%3Ax%3Apull");
        let token = r#"{"access_token": "token-repository:x:pull"}"#;
        if right { Reply::Status(200, Vec::new(), token.into()) } else { status(401) }
    })
    .await;
    let folder = config(&server.host, r#"{"identitytoken": "r-1"}"#);
    assert_eq!(client_with(&folder).digest(&image(&server, "x:v1")).await, Ok(Some(DIGEST.into())));
}

#[tokio::test]
async fn a_token_server_that_fails_for_now_is_asked_again() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static TRIES: AtomicUsize = AtomicUsize::new(0);
    let server = with_tokens(|asked| match TRIES.fetch_add(1, Ordering::Relaxed) {
        0 => status(503),
        1 => Reply::Broken,
        _ => granted(&scopes(asked)),
    })
    .await;
    assert_eq!(client().digest(&image(&server, "x:v1")).await, Ok(Some(DIGEST.into())));
}

#[tokio::test]
async fn broken_credentials_matter_only_where_some_are_needed() {
    let server = with_tokens(|asked| match scopes(asked)[0].contains("open") {
        true => granted(&scopes(asked)),
        false => status(401),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), r#"{"credsStore": "no-such-helper"}"#).unwrap();
    let client = client_with(&folder);
    assert_eq!(client.digest(&image(&server, "open:v1")).await, Ok(Some(DIGEST.into())));
    let error = client.digest(&image(&server, "closed:v1")).await.unwrap_err();
    assert!(matches!(&error, Error::Credentials(cause) if cause.contains("no-such-helper")), "{error}");
}

#[tokio::test]
async fn a_login_of_an_unknown_kind_is_a_refusal() {
    let server = Server::start(|_, _| challenged("Negotiate".into())).await;
    let error = client().digest(&image(&server, "x:v1")).await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_greeting_logs_in_and_asks_for_no_rights() {
    let server = Server::start(|asked, _| {
        if asked.line.contains("/token") {
            return granted(&scopes(asked));
        }
        match asked.authorization() {
            "Bearer token-" => status(200),
            _ => challenged(format!(r#"Bearer realm="http://{}/token""#, asked.headers["host"])),
        }
    })
    .await;
    assert_eq!(client().ping(&server.host).await, Ok(()));
    assert!(server.asked().iter().all(|asked| !asked.line.contains("scope")), "{:?}", server.asked());
}

#[tokio::test]
async fn a_greeting_that_is_refused_or_not_understood_is_an_error() {
    let server = Server::start(|_, _| challenged(r#"Basic realm="x""#.into())).await;
    let refused = client().ping(&server.host).await;
    assert!(matches!(refused, Err(Error::Denied { .. })), "{refused:?}");
    let server = Server::start(|_, _| status(404)).await;
    let other = client().ping(&server.host).await.unwrap_err();
    assert!(other.to_string().contains("failed to answer at /v2/"), "{other}");
}
