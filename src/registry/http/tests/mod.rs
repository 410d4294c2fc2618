//! The client against registries that behave as they do on a bad day.

mod login;
mod server;

use std::time::{Duration, Instant};

use futures::future::{join_all, try_join_all};

use self::server::{Asked, Reply, Server, status};
use super::*;

const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// Times so short that a test waits them out.
fn retry() -> RetryPolicy {
    RetryPolicy {
        connect: Duration::from_millis(300),
        answer: Duration::from_millis(300),
        pause: Duration::from_millis(2),
        longest: Duration::from_secs(2),
        lost: Duration::from_millis(700),
        ..RetryPolicy::default()
    }
}

fn client() -> Registries {
    Registries::new(Options { retry: retry(), ..Options::default() })
}

fn image(server: &Server, rest: &str) -> Reference {
    Reference::parse(&format!("{}/{rest}", server.host)).unwrap()
}

fn there() -> Reply {
    Reply::Status(200, vec![("docker-content-digest", DIGEST.into())], String::new())
}

fn later(seconds: &str) -> Reply {
    Reply::Status(429, vec![("retry-after", seconds.into())], String::new())
}

fn cause(error: &Error) -> &str {
    match error {
        Error::Unreachable { cause, .. } | Error::Denied { cause, .. } | Error::Failed { cause, .. } => cause,
        Error::Credentials(cause) => cause,
    }
}

/// One HEAD under the script; what came of it, and what was asked.
async fn head(script: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> (Outcome, Vec<Asked>) {
    let server = Server::start(script).await;
    let outcome = client().digest(&image(&server, "ds01/x:v1")).await;
    (outcome, server.asked())
}

type Outcome = Result<Option<String>, Error>;

#[tokio::test]
async fn a_digest_costs_one_head_that_accepts_every_kind_of_manifest() {
    let (outcome, asked) = head(|_, _| there()).await;
    assert_eq!(outcome, Ok(Some(DIGEST.into())));
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].line, "HEAD /v2/ds01/x/manifests/v1");
    for kind in
        ["oci.image.index.v1", "oci.image.manifest.v1", "manifest.list.v2", "distribution.manifest.v2"]
    {
        assert!(asked[0].headers["accept"].contains(kind), "{kind}");
    }
    assert_eq!(asked[0].authorization(), "");
}

#[tokio::test]
async fn what_is_not_there_is_no_error_and_costs_one_head() {
    let (outcome, asked) = head(|_, _| status(404)).await;
    assert_eq!((outcome, asked.len()), (Ok(None), 1));
}

#[tokio::test]
async fn without_the_header_the_digest_is_that_of_the_content() {
    let manifest = r#"{"schemaVersion": 2}"#;
    let (outcome, asked) = head(move |_, _| Reply::Status(200, Vec::new(), manifest.into())).await;
    assert_eq!(outcome, Ok(Some(sha256(manifest.as_bytes()))));
    assert_eq!(asked[1].line, "GET /v2/ds01/x/manifests/v1");
}

#[tokio::test]
async fn another_content_than_the_one_asked_for_is_an_error() {
    let server = Server::start(|_, _| there()).await;
    let other = format!("sha256:{}", "2".repeat(64));
    let error = client().digest(&image(&server, &format!("x@{other}"))).await.unwrap_err();
    assert!(matches!(&error, Error::Failed { cause, .. } if cause.contains(&other)), "{error}");
}

#[tokio::test]
async fn patience_that_is_asked_for_is_given() {
    let start = Instant::now();
    let (outcome, asked) = head(|_, before| if before == 0 { later("1") } else { there() }).await;
    assert_eq!((outcome, asked.len()), (Ok(Some(DIGEST.into())), 2));
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn patience_has_an_end() {
    let (outcome, asked) = head(|_, _| later("0")).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::Failed { .. }) && error.to_string().contains("429"), "{error}");
    assert_eq!(asked.len(), 3);
}

#[tokio::test]
async fn too_much_patience_is_not_given_and_the_host_is_left_alone() {
    let server = Server::start(|_, _| later("3600")).await;
    let client = client();
    for _ in 0..3 {
        let error = client.digest(&image(&server, "x:v1")).await.unwrap_err();
        assert!(
            matches!(&error, Error::Failed { cause, .. } if cause.contains("not to be asked for 3")),
            "{error}"
        );
    }
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_server_that_fails_is_asked_again() {
    for code in [500, 502, 503, 504] {
        let (outcome, asked) = head(move |_, n| if n < 2 { status(code) } else { there() }).await;
        assert_eq!((outcome, asked.len()), (Ok(Some(DIGEST.into())), 3), "{code}");
    }
    let (outcome, asked) = head(|_, _| status(500)).await;
    let error = outcome.unwrap_err();
    assert!(matches!(&error, Error::Failed { cause, .. } if cause.contains("500")), "{error}");
    assert_eq!(asked.len(), 3);
}

#[tokio::test]
async fn a_cut_connection_is_tried_again() {
    let (outcome, _) = head(|_, before| if before < 2 { Reply::Broken } else { there() }).await;
    assert_eq!(outcome, Ok(Some(DIGEST.into())));
    let (outcome, asked) = head(|_, _| Reply::Broken).await;
    assert!(matches!(outcome, Err(Error::Unreachable { .. })), "{outcome:?}");
    assert_eq!(asked.len(), 3);
}

#[tokio::test]
async fn content_that_ends_too_early_is_tried_again_and_never_believed() {
    let script = |asked: &Asked, _: usize| match asked.line.starts_with("HEAD") {
        true => status(200),
        false => Reply::CutContent,
    };
    let (outcome, asked) = head(script).await;
    assert!(matches!(outcome, Err(Error::Unreachable { .. })), "{outcome:?}");
    assert_eq!(asked.len(), 4);
}

#[tokio::test]
async fn a_silent_host_costs_one_wait_however_many_ask() {
    let server = Server::start(|_, _| Reply::Hang).await;
    let (client, start) = (client(), Instant::now());
    let images: Vec<_> = (0..200).map(|n| image(&server, &format!("x{n}:v1"))).collect();
    let outcomes = join_all(images.iter().map(|image| client.digest(image))).await;
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(
            matches!(&error, Error::Unreachable { cause, .. } if cause.contains("within 300ms")),
            "{error}"
        );
    }
    assert!(start.elapsed() < Duration::from_millis(650), "{:?}", start.elapsed());
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_host_that_was_silent_is_asked_again_after_a_while() {
    let server = Server::start(|_, n| if n == 0 { Reply::Hang } else { there() }).await;
    let (client, image) = (client(), image(&server, "x:v1"));
    assert!(client.digest(&image).await.is_err() && client.digest(&image).await.is_err());
    tokio::time::sleep(retry().lost).await;
    assert_eq!(client.digest(&image).await, Ok(Some(DIGEST.into())));
}

#[tokio::test]
async fn nobody_there_is_known_at_once_and_the_error_names_the_host() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let reference = Reference::parse(&format!("{host}/x:v1")).unwrap();
    let error = client().digest(&reference).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert_eq!(error.to_string(), format!("the registry {host} does not answer: {}", cause(&error)));
    assert!(cause(&error).contains("refused"), "{error}");
}

#[tokio::test]
async fn a_refusal_says_what_the_registry_says() {
    let body = r#"{"errors":[{"code":"DENIED","message":"pull is not\nallowed"}]}"#;
    let server = Server::start(move |_, _| Reply::Status(403, Vec::new(), body.into())).await;
    let error = client().image(&image(&server, "x:v1"), "linux/amd64").await.unwrap_err();
    let text =
        format!("the registry {0} refuses to show {0}/x:v1: 403 Forbidden: pull is notallowed", server.host);
    assert_eq!(error.to_string(), text);
    assert!(error.help().unwrap().contains("docker login"));
}

#[tokio::test]
async fn two_hundred_heads_share_few_connections() {
    let server = Server::start(|_, _| there()).await;
    let client = client();
    let images: Vec<_> = (0..200).map(|n| image(&server, &format!("x{n}:v1"))).collect();
    let digests = try_join_all(images.iter().map(|image| client.digest(image))).await.unwrap();
    assert!(digests.iter().all(|digest| digest.as_deref() == Some(DIGEST)));
    assert_eq!(server.asked().len(), 200);
    let connections = server.connections.load(std::sync::atomic::Ordering::Relaxed);
    assert!(connections <= 40, "{connections} connections");
}

mod images {
    use super::*;

    /// A registry with an index, its manifest for amd64 and the config; `put`
    /// is what it answers to a PUT.
    async fn full(put: fn(&str) -> Reply) -> (Server, String, String) {
        let config = r#"{"config":{"Labels":{"a":"b"}},"rootfs":{"type":"layers","diff_ids":["sha256:d1","sha256:d2"]}}"#;
        let config_digest = sha256(config.as_bytes());
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{{"digest":"{config_digest}","size":9}},"layers":[{{"digest":"sha256:l1","size":40}},{{"digest":"sha256:l2","size":2}}]}}"#
        );
        let own = sha256(manifest.as_bytes());
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"digest":"{own}","size":1,"platform":{{"os":"linux","architecture":"amd64"}}}}]}}"#
        );
        let whole = sha256(index.as_bytes());
        let (known, known_whole) = (own.clone(), whole.clone());
        let script = move |asked: &Asked, _: usize| {
            let path = asked.line.split(' ').nth(1).unwrap();
            let kind = |name: &str| vec![("content-type", name.to_owned())];
            if asked.line.starts_with("PUT") {
                put(&sha256(asked.body.as_bytes()))
            } else if path == format!("/v2/x/manifests/{known}") {
                Reply::Status(200, kind(manifest::OCI), manifest.clone())
            } else if path == "/v2/x/manifests/v1" || path == format!("/v2/x/manifests/{known_whole}") {
                Reply::Status(200, kind("application/vnd.oci.image.index.v1+json"), index.clone())
            } else if path == format!("/v2/x/blobs/{config_digest}") {
                Reply::Status(200, kind("application/octet-stream"), config.to_owned())
            } else {
                status(404)
            }
        };
        (Server::start(script).await, whole, own)
    }

    #[tokio::test]
    async fn an_image_is_read_through_the_index_without_its_layers() {
        let (server, whole, own) = full(|_| status(201)).await;
        let found = client().image(&image(&server, "x:v1"), "linux/amd64").await.unwrap().unwrap();
        assert_eq!((&found.digest, &found.manifest, found.size), (&whole, &own, 42));
        assert_eq!(found.labels["a"], "b");
        assert_eq!(found.diff_ids, ["sha256:d1", "sha256:d2"]);
        assert_eq!(server.count("GET"), 3);
        let error = client().image(&image(&server, "x:v1"), "linux/arm64").await.unwrap_err();
        assert!(cause(&error).contains("only for: linux/amd64"), "{error}");
        assert_eq!(client().image(&image(&server, "x:v2"), "linux/amd64").await, Ok(None));
    }

    #[tokio::test]
    async fn a_tag_is_put_on_the_same_bytes_of_the_same_kind() {
        let (server, whole, _) =
            full(|digest| Reply::Status(201, vec![("docker-content-digest", digest.into())], String::new()))
                .await;
        let x = image(&server, "x:v1").repository();
        client().tag(&x, &whole, "stable").await.unwrap();
        let put = server.asked().pop().unwrap();
        assert_eq!(put.line, "PUT /v2/x/manifests/stable");
        assert_eq!(put.headers["content-type"], "application/vnd.oci.image.index.v1+json");
        assert_eq!(sha256(put.body.as_bytes()), whole);

        let error = client().tag(&x, DIGEST, "stable").await.unwrap_err();
        assert!(cause(&error).contains(&format!("there is no {x}@{DIGEST}")), "{error}");
    }

    #[tokio::test]
    async fn a_tag_that_ends_on_other_content_is_an_error() {
        let (server, whole, _) =
            full(|_| Reply::Status(201, vec![("docker-content-digest", DIGEST.into())], String::new())).await;
        let x = image(&server, "x:v1").repository();
        let error = client().tag(&x, &whole, "stable").await.unwrap_err();
        assert!(matches!(&error, Error::Failed { action, .. } if action == "tag"), "{error}");
        // Nothing of the digest is said, and the tag is not there afterwards.
        let (server, whole, _) = full(|_| status(201)).await;
        let x = image(&server, "x:v1").repository();
        assert!(client().tag(&x, &whole, "stable").await.is_err());
        client().tag(&x, &whole, "v1").await.unwrap();
    }
}

/// Certificates of an authority of a test's own.
mod certificates {
    use std::sync::Arc;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::pki_types::{PrivateKeyDer, ServerName};

    use super::super::transport::{Transport, refusal, trust};
    use super::*;
    use crate::registry::tls::tls_error;

    const HOST: &str = "reg.test:5000";

    fn pem(der: &[u8]) -> String {
        let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, der);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    }

    /// Shakes hands with a registry whose authority is what `trusted` makes of it.
    async fn handshake(trusted: impl Fn(&std::path::Path, &str)) -> Result<(), String> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let own =
            CertificateParams::new(vec!["reg.test".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        trusted(folder.path(), &pem(authority.der()));
        let options = Options { docker_config: Some(folder.path().to_owned()), ..Options::default() };
        assert!(Transport::new(HOST, &options)?.secure);
        let config = trust(HOST, &options)?;
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
        let serving = tokio::spawn(async move { acceptor.accept(theirs).await.map(|_| ()) });
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("reg.test").unwrap();
        let outcome = connector.connect(name, ours).await;
        serving.abort();
        outcome
            .map(|_| ())
            .map_err(|e| tls_error(&e).map_or_else(|| e.to_string(), |error| refusal(error, HOST)))
    }

    #[tokio::test]
    async fn an_authority_in_certs_d_is_believed_for_its_host_only() {
        let put = |host: &'static str| {
            move |folder: &std::path::Path, pem: &str| {
                let folder = folder.join("certs.d").join(host);
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(folder.join("ca.crt"), pem).unwrap();
            }
        };
        assert_eq!(handshake(put(HOST)).await, Ok(()));
        let refused = handshake(put("other.test")).await.unwrap_err();
        assert!(refused.contains("/etc/docker/certs.d/reg.test:5000/ca.crt"), "{refused}");
    }

    #[tokio::test]
    async fn a_certificate_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("certs.d").join(HOST);
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("ca.crt"), "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
            .unwrap();
        let options = Options { docker_config: Some(folder.path().to_owned()), ..Options::default() };
        let reference = Reference::parse(&format!("{HOST}/x:v1")).unwrap();
        let error = Registries::new(options).digest(&reference).await.unwrap_err();
        assert!(cause(&error).contains("ca.crt cannot be used"), "{error}");
    }

    #[tokio::test]
    async fn a_host_that_is_listed_as_insecure_is_asked_in_plain_text() {
        let options = Options { insecure: [HOST.to_owned()].into(), ..Options::default() };
        assert!(!Transport::new(HOST, &options).unwrap().secure);
        assert!(Transport::new("other.test", &options).unwrap().secure);
    }
}
