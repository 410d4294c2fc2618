//! Containers of the engine in memory, from creation to removal.

use std::collections::HashMap;
use std::sync::MutexGuard;

use super::store::{Store, no_container, refused};
use super::{FakeEngine, State};
use crate::engine::{Container, ContainerDetail, ContainerState, CreateContainer, Devices, Error, Usage};
use crate::model::digest::sha256;

/// Bytes of shared memory where nothing is asked for.
const SHM: u64 = 64 << 20;
/// Of the ports that the engine picks.
const FIRST_PORT: u16 = 32768;

impl FakeEngine {
    /// From now on this is what a container takes while it runs; by its id.
    pub(crate) fn set_usage(&self, container: &str, usage: Usage) {
        self.state().store.usage.insert(container.to_owned(), usage);
    }

    /// How often `containers`, `container`, `images` or `usage` was called.
    pub(crate) fn calls(&self, call: &str) -> usize {
        self.state().calls.get(call).copied().unwrap_or_default()
    }

    /// Counts a call that asks about containers or images.
    pub(super) fn counted(&self, call: &'static str) -> Result<MutexGuard<'_, State>, Error> {
        let mut state = self.reached()?;
        *state.calls.entry(call).or_default() += 1;
        Ok(state)
    }
}

impl Store {
    /// What it was created with; of one that was only added, what the list
    /// says and its devices.
    pub(crate) fn container_detail(&self, name: &str) -> Option<ContainerDetail> {
        let container = &self.containers[self.container(name)?];
        let asked = self.created.iter().rfind(|request| request.name == container.name);
        let said = asked.map(|request| self.as_asked(request, container)).unwrap_or_default();
        let devices = self.devices.get(&container.id).cloned().unwrap_or(said.devices);
        // There is no clock here: whatever happened, happened when it was made.
        let when = |happened: bool| happened.then_some(container.created);
        Some(ContainerDetail {
            id: container.id.clone(),
            name: container.name.clone(),
            image: container.image.clone(),
            image_id: Some(container.image_id.clone()),
            labels: container.labels.clone(),
            state: container.state,
            created: container.created,
            started: when(container.state != ContainerState::Created),
            finished: when(container.state == ContainerState::Exited),
            exit_code: exit_code(container),
            devices,
            ..said
        })
    }

    fn as_asked(&self, request: &CreateContainer, container: &Container) -> ContainerDetail {
        let image = self.images.get(&container.image_id).cloned().unwrap_or_default();
        let env: Vec<_> = image.env.into_iter().chain(request.env.clone()).collect();
        let mut ports = request.ports.clone();
        if container.state == ContainerState::Running {
            // An engine picks a number where none was asked for.
            ports.iter_mut().zip(FIRST_PORT..).for_each(|(port, free)| port.host = port.host.or(Some(free)));
        }
        ContainerDetail {
            user: request.user.clone(),
            workdir: request.workdir.clone(),
            command: request.command.clone().unwrap_or(image.command),
            tty: request.tty,
            mounts: request.mounts.clone(),
            ports,
            network: request.network.clone(),
            cpus: request.cpus,
            memory: request.memory,
            shm_size: request.shm_size.or(Some(SHM)),
            pids: request.pids,
            devices: Devices {
                requests: request.device_requests.clone(),
                files: request.devices.clone(),
                runtime: request.runtime.clone().unwrap_or_else(|| "runc".into()),
                env: env.clone(),
                privileged: false,
            },
            env,
            ..ContainerDetail::default()
        }
    }

    /// Of those that run, nothing where no test has said otherwise.
    pub(crate) fn usage(&self, containers: &[String]) -> HashMap<String, Usage> {
        let runs = |name: &String| {
            let container = &self.containers[self.container(name)?];
            let usage = || self.usage.get(&container.id).copied().unwrap_or_default();
            matches!(container.state, ContainerState::Running | ContainerState::Paused)
                .then(|| (name.clone(), usage()))
        };
        containers.iter().filter_map(runs).collect()
    }

    /// The exit code of one that does not run.
    pub(crate) fn ended(&self, name: &str) -> Result<Option<i64>, Error> {
        let Some(n) = self.container(name) else {
            return refused(format!("wait for container `{name}`"), no_container(name));
        };
        Ok(exit_code(&self.containers[n]))
    }

    pub(crate) fn create(&mut self, request: &CreateContainer) -> Result<String, Error> {
        let action = format!("create container `{}`", request.name);
        if self.containers.iter().any(|c| c.name == request.name) {
            return refused(action, format!("Conflict. The name \"/{}\" is already in use", request.name));
        }
        let image = self.find(&request.image).and_then(|id| Some((id.clone(), self.images.get(&id)?)));
        let Some((image_id, image)) = image else {
            return refused(action, format!("No such image: {}", request.image));
        };
        if request.command.as_ref().unwrap_or(&image.command).is_empty() {
            return refused(action, "No command specified".into());
        }
        // An engine copies the image's labels; the request's win.
        let mut labels = image.labels.clone();
        labels.extend(request.labels.clone());
        let id = sha256(request.name.as_bytes()).split_off("sha256:".len());
        self.created.push(request.clone());
        self.containers.push(Container {
            id: id.clone(),
            name: request.name.clone(),
            image: request.image.clone(),
            image_id,
            labels,
            state: ContainerState::Created,
            status: "Created".into(),
            created: 0,
        });
        Ok(id)
    }

    /// Images of the fake have programs in `/bin`, `/usr` and `/opt` only, and
    /// all of them run on but `/bin/false`.
    pub(crate) fn start(&mut self, name: &str) -> Result<(), Error> {
        let action = format!("start container `{name}`");
        self.willing("start")?;
        let Some(n) = self.container(name) else { return refused(action, no_container(name)) };
        let container = &self.containers[n];
        let request = self.created.iter().rfind(|request| request.name == container.name);
        let lifted = request.is_some_and(|r| r.ulimits.values().any(|(_, hard)| *hard == -1));
        if self.unprivileged && lifted {
            return refused(action, "error setting rlimit type 8: operation not permitted".into());
        }
        let own = self.images.get(&container.image_id).map(|image| &image.command);
        let program = request.and_then(|r| r.command.as_ref()).or(own).and_then(|words| words.first());
        let program = program.map_or("", String::as_str);
        let dirs = ["/bin/", "/usr/", "/opt/"];
        if program == "/bin/false" {
            self.set(n, ContainerState::Exited, "Exited (1) 1 second ago");
        } else if !program.starts_with('/') || dirs.iter().any(|dir| program.starts_with(dir)) {
            self.set(n, ContainerState::Running, "Up 1 second");
        } else if request.is_some_and(|r| r.init) {
            // The init starts, and tells of its program by ending.
            self.set(n, ContainerState::Exited, "Exited (127) 1 second ago");
        } else {
            return refused(action, format!("exec: \"{program}\": no such file or directory"));
        }
        Ok(())
    }

    pub(crate) fn stop(&mut self, name: &str) -> Result<(), Error> {
        let Some(n) = self.container(name) else {
            return refused(format!("stop container `{name}`"), no_container(name));
        };
        if self.containers[n].state != ContainerState::Created {
            self.set(n, ContainerState::Exited, "Exited (0) 1 second ago");
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self, name: &str) -> Result<(), Error> {
        let action = format!("remove container `{name}`");
        self.willing("remove")?;
        let Some(n) = self.container(name) else { return refused(action, no_container(name)) };
        if self.containers[n].state.is_running() {
            return refused(action, "You cannot remove a running container".into());
        }
        let gone = self.containers.remove(n);
        self.inside.remove(&gone.id);
        Ok(())
    }

    pub(crate) fn container(&self, name: &str) -> Option<usize> {
        self.containers.iter().position(|c| c.name == name || c.id == name)
    }

    fn set(&mut self, n: usize, state: ContainerState, status: &str) {
        self.containers[n].state = state;
        status.clone_into(&mut self.containers[n].status);
        if state != ContainerState::Running {
            self.programs.end(&self.containers[n].id);
        }
    }
}

/// `Exited (127) 1 second ago` → 127; `None`: it did not end.
fn exit_code(container: &Container) -> Option<i64> {
    let code = container.status.split(['(', ')']).nth(1).and_then(|code| code.parse().ok());
    (container.state == ContainerState::Exited).then(|| code.unwrap_or_default())
}
