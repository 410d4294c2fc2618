//! How a container reaches others, and how others reach it. Pure.

use super::{Order, Refusal};
use crate::engine::{Network, Port};
use crate::spec::limits;

/// Below it only root may listen on a machine, and the engine is root.
const FIRST_PORT: u16 = 1024;

/// The group's network, with the published ports.
///
/// # Errors
/// There is nothing to publish on, or a port is not for people.
pub(crate) fn network(order: &Order<'_>) -> Result<(Network, Vec<Port>), Refusal> {
    let (network, ports) = (named(&order.limits.limits.network), order.asked.ports.clone());
    let Some(first) = ports.first() else { return Ok((network, ports)) };
    if matches!(network, Network::Host | Network::None) {
        let group = order.limits.group.clone();
        return Err(Refusal::NothingToPublishOn {
            group,
            port: first.container,
            host: network == Network::Host,
        });
    }
    match ports.iter().find_map(|port| port.host.filter(|host| *host < FIRST_PORT)) {
        Some(port) => Err(Refusal::LowPort { port }),
        None => Ok((network, ports)),
    }
}

fn named(network: &limits::Network) -> Network {
    match network {
        limits::Network::Bridge => Network::Bridge,
        limits::Network::Host => Network::Host,
        limits::Network::None => Network::None,
        limits::Network::Named(name) => Network::Named(name.clone()),
    }
}
