//! Looks at this machine's GPUs and at what the engine's containers claim of
//! them. A driver in trouble may never answer: it is given up on.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;

use super::load;
use super::settings::Settings;
use crate::deploy::assign::Look;
use crate::engine::Engine;
use crate::gpu::claims::{self, GpuClaim};
use crate::gpu::nvml;
use crate::gpu::overview::{self, Overview};
use crate::gpu::{Machine, DriverState};

/// A driver in trouble may never answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The GPUs as NVML tells of them; why there are none is part of the answer.
pub(super) async fn machine(settings: &Settings) -> Machine {
    Gpus::open(settings).machine().await
}

/// The driver's library, loaded once for several looks.
pub(super) struct Gpus {
    library: Arc<OnceLock<nvml::Library>>,
    path: Option<PathBuf>,
}

impl Gpus {
    /// Begins to load it, and does not wait for that.
    pub(super) fn open(settings: &Settings) -> Self {
        let gpus = Self { library: Arc::default(), path: settings.nvml_library.clone() };
        let (library, path) = (gpus.library.clone(), gpus.path.clone());
        tokio::task::spawn_blocking(move || {
            library.get_or_init(|| nvml::Library::open(path.as_deref()));
        });
        gpus
    }
}

#[async_trait]
impl Look for Gpus {
    async fn machine(&self) -> Machine {
        let (library, path) = (self.library.clone(), self.path.clone());
        let look = tokio::task::spawn_blocking(move || {
            library.get_or_init(|| nvml::Library::open(path.as_deref())).machine(Path::new("/proc"))
        });
        let failed = |cause: String| Machine { state: DriverState::Failed { cause }, gpus: Vec::new() };
        match tokio::time::timeout(PATIENCE, look).await {
            Ok(Ok(machine)) => machine,
            Ok(Err(error)) => failed(error.to_string()),
            Err(_) => failed(format!("the driver did not answer within {} s", PATIENCE.as_secs())),
        }
    }
}

/// The GPUs and who holds them. An engine that answered once is kept in
/// `engine`; where none answers, holders are not known, which is said.
pub(super) async fn overview(settings: &Settings, engine: &mut Option<Arc<dyn Engine>>) -> Overview {
    let (machine, found) = tokio::join!(machine(settings), containers(settings, engine));
    let found = found.as_deref().map_err(String::as_str);
    overview::overview(&machine, found, &|uid| settings.login(uid))
}

/// What containers claim; else why that is not known.
async fn containers(
    settings: &Settings,
    engine: &mut Option<Arc<dyn Engine>>,
) -> Result<Vec<GpuClaim>, String> {
    let reached = match engine {
        Some(engine) => engine.clone(),
        None => load::engine(settings).await.map_err(|trouble| trouble.to_string())?,
    };
    *engine = Some(reached.clone());
    claims::read_all(reached.as_ref()).await.map_err(|error| error.to_string())
}
