//! A real engine, over its HTTP interface.
//!
//! The only module that knows bollard; its types end here. What is asked for
//! is decided elsewhere and sent as it is. Building is the builder's.

mod client;
mod create;
mod exec;
mod files;
mod measure;
mod read;
mod transfer;

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use bollard::body_full;
use bollard::exec::ResizeExecOptions;
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, CreateContainerOptionsBuilder, CreateImageOptionsBuilder,
    InspectContainerOptionsBuilder, ListContainersOptionsBuilder, ListImagesOptionsBuilder,
    PushImageOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder,
    StopContainerOptionsBuilder, TagImageOptionsBuilder, UploadToContainerOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::{
    Attached, Change, Chunk, Container, ContainerConfig, ContainerDetail, CreateContainer, Engine,
    EngineInfo, Error, Exec, FileStat, Footprint, Image, ImageDetail, Logs, SolveError, Solved, Usage,
    UserLayer, http,
};
use crate::engine::buildkit::Builder;
use crate::image::solve::Solve;
use crate::image::user_layer::{BaseFacts, UserLayerInput};
use crate::model::event::Events;
use crate::model::names::{ImageId, NodeName};
use crate::model::reference::Reference;
use client::failed;
#[cfg(test)]
pub(crate) use create::body;
use transfer::TransferStep;

/// How often a failing list of images is asked for again.
const LIST_AGAIN: u32 = 4;
const LIST_PAUSE: Duration = Duration::from_millis(100);

/// How long the engine may take over all files of a container. A commit
/// writes every changed one and answers when all are written; where storage
/// cannot tell what changed, all files of the image are compared.
const ALL_FILES: Duration = Duration::from_secs(12 * 3600);

/// A Docker engine.
pub(crate) struct Docker {
    client: bollard::Docker,
    http: http::Client,
    builder: Builder,
    /// Asked for once: dockerd runs two programs to answer.
    info: OnceCell<EngineInfo>,
}

impl Docker {
    /// Connects to the engine of this builder and agrees on the version of the
    /// interface.
    ///
    /// # Errors
    /// Nobody answers there in time, the certificates are wrong, or the answer
    /// is not an engine's.
    pub(crate) async fn connect(builder: Builder) -> Result<Self, Error> {
        let http = builder.http().clone();
        Ok(Self { client: client::connect(&http).await?, http, builder, info: OnceCell::new() })
    }

    /// For calls about all files of a container.
    fn patient(&self) -> bollard::Docker {
        self.client.clone().with_timeout(ALL_FILES)
    }

    /// Sends or fetches with the login for where a reference lives. Without
    /// one where it cannot be read: that is told if it turns out to be needed.
    async fn with_login<T>(
        &self,
        reference: &Reference,
        transfer: impl AsyncFnOnce(Option<bollard::auth::DockerCredentials>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (login, unread) = match self.builder.credentials().of(reference.registry()).await {
            Ok(login) => (login.map(|(login, _)| login), None),
            Err(error) => (None, Some(error)),
        };
        let done = transfer(transfer::credentials(login, reference.registry())).await;
        done.map_err(|error| match (error, unread) {
            (Error::Refused { action, message }, Some(unread)) => {
                Error::Refused { action, message: format!("{message}; {unread}") }
            }
            (error, _) => error,
        })
    }
}

#[async_trait]
impl Engine for Docker {
    async fn info(&self) -> Result<EngineInfo, Error> {
        let info = self.info.get_or_try_init(async || {
            let info = self.client.info().await.map_err(|e| failed("say what it is", e))?;
            let local = self.http.address().is_local();
            Ok(EngineInfo { api: self.client.client_version().to_string(), ..read::engine_info(info, local) })
        });
        info.await.cloned()
    }

    async fn lacks(&self) -> Result<Vec<String>, Error> {
        self.builder.lacks().await
    }

    async fn read_files(&self, image: &Reference, wants: &[UserLayerInput]) -> Result<BaseFacts, Error> {
        self.builder.read_files(image, wants).await
    }

    async fn images(&self) -> Result<Vec<Image>, Error> {
        let options = ListImagesOptionsBuilder::new().all(false).digests(true).build();
        let mut list = self.client.list_images(Some(options.clone())).await;
        // With the containerd store, 26.1 fails the whole list for an image
        // that somebody removes at that moment.
        for _ in 0..LIST_AGAIN {
            match &list {
                Err(error) if client::is_of_the_engine(error) => tokio::time::sleep(LIST_PAUSE).await,
                _ => break,
            }
            list = self.client.list_images(Some(options.clone())).await;
        }
        Ok(list.map_err(|e| failed("list images", e))?.into_iter().map(read::image).collect())
    }

    async fn image(&self, name: &str) -> Result<Option<ImageDetail>, Error> {
        let Some(name) = create::image_name(name) else { return Ok(None) };
        match self.client.inspect_image(&name).await {
            Ok(image) => Ok(Some(read::image_detail(image))),
            Err(e) if client::is_not_found(&e) => Ok(None),
            Err(e) => Err(failed(&format!("show image `{name}`"), e)),
        }
    }

    async fn image_config(&self, name: &str) -> Result<Option<ContainerConfig>, Error> {
        let Some(name) = create::image_name(name) else { return Ok(None) };
        let action = format!("show image `{name}`");
        let config = match self.client.inspect_image(&name).await {
            Ok(image) => image.config.unwrap_or_default(),
            Err(e) if client::is_not_found(&e) => return Ok(None),
            Err(e) => return Err(failed(&action, e)),
        };
        match serde_json::to_value(config) {
            Ok(serde_json::Value::Object(config)) => Ok(Some(config)),
            _ => Err(Error::Refused { action, message: "its configuration is no JSON object".into() }),
        }
    }

    async fn footprints(&self, images: &[ImageId]) -> Result<HashMap<ImageId, Footprint>, Error> {
        measure::footprints(&self.client, images).await.map_err(|e| failed("measure images", e))
    }

    async fn resolve(&self, reference: &Reference) -> Result<Option<String>, Error> {
        self.builder.resolve(reference).await
    }

    async fn solve(
        &self,
        solve: &Solve,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<Solved, SolveError> {
        self.builder.solve(solve, events, cancel).await
    }

    async fn user_layer(&self, solve: &Solve, events: &Events) -> Result<UserLayer, SolveError> {
        self.builder.user_layer(solve, events).await
    }

    async fn pull(&self, reference: &Reference, node: &NodeName, events: &Events) -> Result<ImageId, Error> {
        let name = format!("pull {reference}");
        let repository = reference.repository();
        // A digest is given as the engine's own client does: in place of a tag.
        let options = CreateImageOptionsBuilder::new()
            .from_image(repository.as_str())
            .tag(reference.digest().or(reference.tag()).unwrap_or("latest"))
            .build();
        let transfer = TransferStep { node, events, name: name.clone() };
        self.with_login(reference, async |login| {
            let stream = self.client.create_image(Some(options), None, login);
            transfer.follow(stream).await.map_err(|e| failed(&name, e))
        })
        .await?;
        let named = reference.digest().map_or(reference.clone(), |digest| repository.with_digest(digest));
        let found = self.image(&named.to_string()).await?;
        let message = "it does not have the image after the pull".to_owned();
        found.map(|image| image.id).ok_or(Error::Refused { action: name, message })
    }

    async fn push(&self, reference: &Reference, node: &NodeName, events: &Events) -> Result<(), Error> {
        let name = format!("push {reference}");
        let options = PushImageOptionsBuilder::new().tag(reference.tag().unwrap_or("latest")).build();
        let transfer = TransferStep { node, events, name: name.clone() };
        self.with_login(reference, async |login| {
            let stream = self.client.push_image(reference.repository().as_str(), Some(options), login);
            transfer.follow(stream).await.map_err(|e| failed(&name, e))
        })
        .await
    }

    async fn tag(&self, image: &ImageId, reference: &Reference) -> Result<(), Error> {
        let repository = reference.repository();
        let options = TagImageOptionsBuilder::new()
            .repo(repository.as_str())
            .tag(reference.tag().unwrap_or("latest"))
            .build();
        let done = self.client.tag_image(image.as_str(), Some(options)).await;
        done.map_err(|e| failed(&format!("tag {image} as `{reference}`"), e))
    }

    async fn remove_image(&self, name: &str) -> Result<(), Error> {
        let action = format!("remove image `{name}`");
        let Some(path) = create::image_name(name) else {
            return Err(Error::Refused { action, message: "that is not the name of an image".into() });
        };
        // Untagged parents stay: other images may have been built on them.
        let options = RemoveImageOptionsBuilder::new().force(false).noprune(true).build();
        let done = self.client.remove_image(&path, Some(options), None).await;
        done.map(drop).map_err(|e| failed(&action, e))
    }

    async fn containers(&self) -> Result<Vec<Container>, Error> {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let list = self.client.list_containers(Some(options)).await;
        Ok(list.map_err(|e| failed("list containers", e))?.into_iter().map(read::container).collect())
    }

    async fn container(&self, container: &str) -> Result<Option<ContainerDetail>, Error> {
        match self.client.inspect_container(container, None).await {
            Ok(found) => Ok(Some(read::container_detail(found))),
            Err(e) if client::is_not_found(&e) => Ok(None),
            Err(e) => Err(failed(&format!("show container `{container}`"), e)),
        }
    }

    async fn usage(&self, containers: &[String]) -> Result<HashMap<String, Usage>, Error> {
        measure::usage(&self.client, containers).await
    }

    async fn create(&self, request: &CreateContainer) -> Result<String, Error> {
        let options = CreateContainerOptionsBuilder::new().name(&request.name).build();
        let created = self.client.create_container(Some(options), create::body(request)).await;
        let action = format!("create container `{}`", request.name);
        Ok(created.map_err(|e| failed(&action, e))?.id)
    }

    async fn start(&self, container: &str) -> Result<(), Error> {
        let done = self.client.start_container(container, None).await;
        done.map_err(|e| failed(&format!("start container `{container}`"), e))
    }

    async fn wait(&self, container: &str) -> Result<i64, Error> {
        let action = format!("wait for container `{container}`");
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        match self.client.wait_container(container, Some(options)).next().await {
            Some(Ok(ended)) => Ok(ended.status_code),
            // What a program ended with is no error of the engine's.
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(failed(&action, error)),
            None => Err(Error::Broken { action, cause: "it said nothing".into() }),
        }
    }

    async fn stop(&self, container: &str, seconds: u32) -> Result<(), Error> {
        let grace = i32::try_from(seconds).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(grace).build();
        let done = self.client.stop_container(container, Some(options)).await;
        done.map_err(|e| failed(&format!("stop container `{container}`"), e))
    }

    async fn remove(&self, container: &str) -> Result<(), Error> {
        // Never by force, so that nothing running is killed; volumes stay.
        let options = RemoveContainerOptionsBuilder::new().force(false).v(false).build();
        let done = self.client.remove_container(container, Some(options)).await;
        done.map_err(|e| failed(&format!("remove container `{container}`"), e))
    }

    async fn logs(
        &self,
        container: &str,
        logs: &Logs,
    ) -> Result<BoxStream<'static, Result<Chunk, Error>>, Error> {
        exec::logs(&self.client, &self.http, container, logs).await
    }

    async fn exec(&self, container: &str, exec: &Exec) -> Result<Attached, Error> {
        exec::attach(&self.client, &self.http, container, exec).await
    }

    async fn resize(&self, exec: &str, columns: u16, rows: u16) -> Result<(), Error> {
        let size = ResizeExecOptions { width: columns, height: rows };
        let done = self.client.resize_exec(exec, size).await;
        done.map_err(|e| failed("tell a program the size of its terminal", e))
    }

    async fn exec_ended(&self, exec: &str) -> Result<Option<i64>, Error> {
        let found = self.client.inspect_exec(exec).await;
        let found = found.map_err(|e| failed("ask how a program ended", e))?;
        Ok(found.exit_code.filter(|_| found.running != Some(true)))
    }

    async fn changes(&self, container: &str) -> Result<Vec<Change>, Error> {
        let found = self.patient().container_changes(container).await;
        let found = found.map_err(|e| failed(&format!("list changes of container `{container}`"), e))?;
        Ok(found.unwrap_or_default().into_iter().map(read::change).collect())
    }

    async fn written(&self, container: &str) -> Result<Option<u64>, Error> {
        let options = InspectContainerOptionsBuilder::new().size(true).build();
        let found = self.patient().inspect_container(container, Some(options)).await;
        let found = found.map_err(|e| failed(&format!("measure container `{container}`"), e))?;
        // -1 where the engine does not know.
        Ok(found.size_rw.and_then(|bytes| bytes.try_into().ok()))
    }

    async fn stat(&self, container: &str, path: &str) -> Result<Option<FileStat>, Error> {
        files::stat(&self.client, container, path).await
    }

    async fn write_files(&self, container: &str, tar: Vec<u8>) -> Result<(), Error> {
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        let done = self.client.upload_to_container(container, Some(options), body_full(tar.into())).await;
        done.map_err(|e| failed(&format!("write files of container `{container}`"), e))
    }

    async fn read_tar(&self, container: &str, path: &str, most: u64) -> Result<Option<Vec<u8>>, Error> {
        files::read_tar(&self.client, container, path, most).await
    }

    async fn commit(&self, container: &str) -> Result<ImageId, Error> {
        let options = CommitContainerOptionsBuilder::new().container(container).pause(true).build();
        let config = bollard::models::ContainerConfig::default();
        let image = self.patient().commit_container(options, config).await;
        Ok(ImageId::new(image.map_err(|e| failed(&format!("commit container `{container}`"), e))?.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::address::Address;
    use crate::registry::credentials::Credentials;

    async fn connect(address: &Address) -> Option<Error> {
        let builder = Builder::new(address, Credentials::default());
        Docker::connect(builder).await.err()
    }

    #[tokio::test]
    async fn an_address_where_nobody_answers_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        for address in
            [Address::Unix(folder.path().join("no.sock")), Address::Tcp { host: "127.0.0.1".into(), port }]
        {
            let error = connect(&address).await;
            let Some(Error::Unreachable { address: shown, cause }) = &error else { panic!("{error:?}") };
            assert_eq!(*shown, address.to_string());
            assert!(!cause.is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_stays_silent_is_given_up_after_10_seconds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("silent.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let error = connect(&Address::Unix(path)).await;
        assert!(
            matches!(&error, Some(Error::Unreachable { cause, .. }) if cause.contains("within 10 s")),
            "{error:?}"
        );
    }

    /// An engine that gives these answers, one for each connection.
    async fn version_of(answers: &'static [&'static str]) -> String {
        use std::io::{BufRead, BufReader, Write};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let engine = std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let head = BufReader::new(stream.try_clone().unwrap()).lines();
                head.map(Result::unwrap).find(String::is_empty).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let address = Address::Unix(path);
        let builder = Builder::new(&address, Credentials::default());
        let version = Docker::connect(builder).await.unwrap().client.client_version().to_string();
        engine.join().unwrap();
        version
    }

    #[tokio::test]
    async fn the_version_is_that_of_the_header_and_else_asked_for() {
        let header = version_of(&["HTTP/1.1 200 OK\r\nApi-Version: 1.40\r\nContent-Length: 2\r\n\r\nOK"]);
        assert_eq!(header.await, "1.40");
        let none = version_of(&[
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{\"ApiVersion\":\"1.39\"}",
        ]);
        assert_eq!(none.await, "1.39");
    }

    #[tokio::test]
    async fn missing_certificates_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let cert_dir = folder.path().to_path_buf();
        let error = connect(&Address::Tls { host: "127.0.0.1".into(), port: 1, cert_dir }).await;
        assert!(
            matches!(&error, Some(Error::Certificates { cause, .. }) if cause.contains("ca.pem")),
            "{error:?}"
        );
    }
}
