//! One build in BuildKit: the call that runs it and the calls that steer it.
//!
//! `Control.Solve` without a definition opens a job that waits for its
//! result; with the job's id as a header, the gateway's calls work in
//! it; `Return` ends it. Our words in, our words out; decides nothing.

use std::collections::HashMap;
use std::time::Duration;

use bollard_buildkit_proto::fsutil::types::Stat;
use bollard_buildkit_proto::google::rpc;
use bollard_buildkit_proto::moby::buildkit::v1::apicaps::ApiCap;
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::llb_bridge_client::LlbBridgeClient;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::{self, ResolveImageConfigResponse, result};
use bollard_buildkit_proto::moby::buildkit::v1::{
    CacheOptions, CacheOptionsEntry, SolveRequest, StatusRequest, StatusResponse,
};
use prost::Message;
use rustix::rand::{GetRandomFlags, getrandom};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::engine::llb::Definition;
use crate::model::digest::hex;
use crate::model::reference::Reference;

const BUILD_ID: &str = "buildkit-controlapi-buildid";
/// Where the image config travels among a result's metadata.
const IMAGE_CONFIG: &str = "containerimage.config";
/// Definitions of large Dockerfiles and bursts of logs pass gRPC's 4 MiB.
const LARGEST_MESSAGE: usize = 64 << 20;
/// BuildKit itself waits 3 seconds for a job; a busy engine takes longer.
const OPENING_TRIES: usize = 10;

/// What every solve uses, by BuildKit's names.
const NEEDED: [&str; 9] = [
    "solve.base",
    "gateway.solve.evaluate",
    "resolveimage",
    "readfile",
    "readdir",
    "statfile",
    "return",
    "frontend.inputs",
    "file.base",
];

/// A result that is known to BuildKit, evaluated or not; its id is empty for
/// `scratch`.
pub(super) use frontend::Ref;

/// What a job gives in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Export {
    /// An image in the engine's store. `cache`: its config also lists the
    /// steps that made it.
    Image {
        cache: bool,
    },
    Nothing,
}

/// The result of a front end.
#[derive(Clone, Debug)]
pub(super) struct FrontendResult {
    pub(super) result: Ref,
    pub(super) config: Vec<u8>,
}

pub(super) struct Job {
    id: String,
    header: MetadataValue<Ascii>,
    control: ControlClient<Channel>,
    bridge: LlbBridgeClient<Channel>,
    /// Images whose steps may save ours.
    imports: Vec<String>,
}

impl Job {
    pub(super) fn new(channel: &Channel) -> Self {
        let id = random_id();
        Self {
            header: MetadataValue::try_from(&id).expect("hex digits are a header value"),
            id,
            imports: Vec::new(),
            control: ControlClient::new(channel.clone()).max_decoding_message_size(LARGEST_MESSAGE),
            bridge: LlbBridgeClient::new(channel.clone()).max_decoding_message_size(LARGEST_MESSAGE),
        }
    }

    /// The same, importing the steps that these images list.
    pub(super) fn importing(self, images: &[Reference]) -> Self {
        Self { imports: images.iter().map(Reference::canonical).collect(), ..self }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert(BUILD_ID, self.header.clone());
        request
    }

    /// Runs the job until its end, and gives the exporter's answer. Dropping
    /// the future cancels every step.
    pub(super) async fn run(&self, session: &str, export: Export) -> Result<HashMap<String, String>, Status> {
        let exporter = match export {
            Export::Image { .. } => "moby",
            Export::Nothing => "",
        };
        let inline = CacheOptionsEntry { r#type: "inline".to_owned(), attrs: HashMap::new() };
        let exports = if export == (Export::Image { cache: true }) { vec![inline] } else { Vec::new() };
        let request = SolveRequest {
            r#ref: self.id.clone(),
            session: session.to_owned(),
            exporter_deprecated: exporter.to_owned(),
            // 20.10 dereferences it without looking.
            cache: Some(CacheOptions { exports, ..Default::default() }),
            ..Default::default()
        };
        let response = self.control.clone().solve(request).await?;
        Ok(response.into_inner().exporter_response)
    }

    /// What happens in the job, until its end.
    pub(super) async fn progress(&self) -> Result<Streaming<StatusResponse>, Status> {
        let mut tries = 0;
        loop {
            let request = StatusRequest { r#ref: self.id.clone() };
            match self.control.clone().status(request).await {
                Err(status) if opens_late(&status, &mut tries).await => {}
                other => return Ok(other?.into_inner()),
            }
        }
    }

    /// Waits until the job takes calls; gives what it lacks of [`NEEDED`].
    pub(super) async fn opened(&self) -> Result<Vec<&'static str>, Status> {
        let mut tries = 0;
        let pong = loop {
            match self.bridge.clone().ping(self.request(frontend::PingRequest {})).await {
                Err(status) if opens_late(&status, &mut tries).await => {}
                other => break other?.into_inner(),
            }
        };
        let has = |name: &str| {
            let enabled = |cap: &ApiCap| cap.id == name && cap.enabled;
            pong.frontend_api_caps.iter().chain(&pong.llb_caps).any(enabled)
        };
        Ok(NEEDED.into_iter().filter(|name| !has(name)).collect())
    }

    /// Looks up an image's config, and its manifest's digest if a registry was
    /// asked. `mode`: `default` asks the engine's store first, `pull` the
    /// registry only.
    pub(super) async fn resolve(
        &self,
        reference: &str,
        mode: &str,
    ) -> Result<ResolveImageConfigResponse, Status> {
        let request = frontend::ResolveImageConfigRequest {
            r#ref: reference.to_owned(),
            resolve_mode: mode.to_owned(),
            log_name: format!("load metadata for {reference}"),
            ..Default::default()
        };
        Ok(self.bridge.clone().resolve_image_config(self.request(request)).await?.into_inner())
    }

    /// Makes a definition known. It runs when its files are read or it is returned.
    pub(super) async fn solve(&self, definition: Definition) -> Result<Ref, Status> {
        let entry = |image: &String| frontend::CacheOptionsEntry {
            r#type: "registry".to_owned(),
            attrs: HashMap::from([("ref".to_owned(), image.clone())]),
        };
        let request = frontend::SolveRequest {
            definition: Some(definition.into_pb()),
            cache_imports: self.imports.iter().map(entry).collect(),
            ..Default::default()
        };
        Ok(self.solve_any(request).await?.result)
    }

    /// Has the engine's Dockerfile front end make a definition.
    pub(super) async fn dockerfile(
        &self,
        mut options: HashMap<String, String>,
        inputs: impl IntoIterator<Item = (&'static str, Definition)>,
    ) -> Result<FrontendResult, Status> {
        if !self.imports.is_empty() {
            // The front end asks for its steps itself, so these are given
            // in its own way.
            let entry = |image| serde_json::json!({ "Type": "registry", "Attrs": { "ref": image } });
            let entries: serde_json::Value = self.imports.iter().map(entry).collect();
            options.insert("cache-imports".to_owned(), entries.to_string());
        }
        let request = frontend::SolveRequest {
            frontend: "dockerfile.v0".to_owned(),
            frontend_opt: options,
            frontend_inputs: inputs.into_iter().map(|(name, d)| (name.to_owned(), d.into_pb())).collect(),
            ..Default::default()
        };
        self.solve_any(request).await
    }

    async fn solve_any(&self, mut request: frontend::SolveRequest) -> Result<FrontendResult, Status> {
        request.allow_result_return = true;
        request.allow_result_array_ref = true;
        let response = self.bridge.clone().solve(self.request(request)).await?.into_inner();
        let result = response.result.unwrap_or_default();
        let config = result.metadata.get(IMAGE_CONFIG).cloned().unwrap_or_default();
        let result = match result.result {
            Some(result::Result::Ref(known)) => known,
            Some(result::Result::RefDeprecated(id)) => Ref { id, def: None },
            None => Ref::default(),
            Some(_) => return Err(Status::unimplemented("a build for several platforms at once")),
        };
        Ok(FrontendResult { result, config })
    }

    /// Kind, mode and owner of a path; symbolic links are followed.
    pub(super) async fn stat(&self, result: &str, path: &str) -> Result<Option<Stat>, Status> {
        let request = frontend::StatFileRequest { r#ref: result.into(), path: path.into(), mount_index: 0 };
        let stat = found(self.bridge.clone().stat_file(self.request(request)).await)?;
        Ok(stat.and_then(|response| response.stat))
    }

    /// What is in a folder.
    pub(super) async fn list(&self, result: &str, path: &str) -> Result<Vec<Stat>, Status> {
        let request =
            frontend::ReadDirRequest { r#ref: result.into(), dir_path: path.into(), ..Default::default() };
        Ok(self.bridge.clone().read_dir(self.request(request)).await?.into_inner().entries)
    }

    /// A file's bytes; symbolic links are followed.
    pub(super) async fn read(&self, result: &str, path: &str) -> Result<Option<Vec<u8>>, Status> {
        let request =
            frontend::ReadFileRequest { r#ref: result.into(), file_path: path.into(), ..Default::default() };
        let file = found(self.bridge.clone().read_file(self.request(request)).await)?;
        Ok(file.map(|response| response.data))
    }

    /// Says what the job's result is. An image has a config.
    pub(super) async fn succeed(&self, result: &str, config: Option<Vec<u8>>) -> Result<(), Status> {
        let result = frontend::Result {
            metadata: config.map(|c| (IMAGE_CONFIG.to_owned(), c)).into_iter().collect(),
            result: Some(result::Result::Ref(Ref { id: result.to_owned(), def: None })),
            ..Default::default()
        };
        self.end(frontend::ReturnRequest { result: Some(result), error: None }).await
    }

    /// Says that the job has failed, so that it ends in order.
    pub(super) async fn fail(&self, status: &Status) -> Result<(), Status> {
        let error = rpc::Status {
            code: status.code() as i32,
            message: status.message().to_owned(),
            details: rpc::Status::decode(status.details()).map(|s| s.details).unwrap_or_default(),
        };
        self.end(frontend::ReturnRequest { result: None, error: Some(error) }).await
    }

    async fn end(&self, request: frontend::ReturnRequest) -> Result<(), Status> {
        self.bridge.clone().r#return(self.request(request)).await.map(drop)
    }
}

/// A name that nobody else has, of a session or job: 128 random bits as hex.
pub(super) fn random_id() -> String {
    let mut bytes = [0; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        // It fails only when a signal comes first.
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty()).unwrap_or(0);
    }
    hex(&bytes)
}

/// Whether BuildKit may know the job yet when asked again. Waits a little.
async fn opens_late(status: &Status, tries: &mut usize) -> bool {
    *tries += 1;
    let late = status.message().contains("no such job") && *tries <= OPENING_TRIES;
    if late {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    late
}

/// `None`: there is no such path. BuildKit of 20.10 passes on the system's words
/// without a code.
fn found<T>(answer: Result<Response<T>, Status>) -> Result<Option<T>, Status> {
    let status = match answer {
        Ok(response) => return Ok(Some(response.into_inner())),
        Err(status) => status,
    };
    let endings = ["no such file or directory", "not a directory"];
    let missing =
        status.code() == Code::NotFound || endings.iter().any(|ending| status.message().ends_with(ending));
    if missing { Ok(None) } else { Err(status) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_long_and_differ() {
        let (one, two) = (super::random_id(), super::random_id());
        assert_eq!(one.len(), 32);
        assert_ne!(one, two);
    }
}
