//! What is asked of the engine itself, past testcontainers.

use std::{collections::HashMap, env, net::IpAddr, time::Duration};

use testcontainers::{
    bollard::{
        Docker,
        errors::Error,
        models::ContainerSummary,
        query_parameters::{
            InspectContainerOptions, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
        },
    },
    core::client::docker_client_instance,
};
use tokio::{runtime::Builder, time::timeout};

use crate::docker::{DockerError, reaper::LABEL};

/// An engine that is there answers at once.
const PING_LIMIT: Duration = Duration::from_secs(5);

/// Runs a future outside any runtime.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The engine that `DOCKER_HOST` names, or the one behind the usual sockets.
///
/// # Errors
///
/// [`DockerError::NoEngine`]: a client without an engine does not count.
pub(super) async fn connect() -> Result<Docker, DockerError> {
    let no_engine = |source| {
        let named = env::var("DOCKER_HOST").map(|host| format!("{host:?}"));
        let address = named.unwrap_or_else(|_| "the usual sockets".to_owned());
        DockerError::NoEngine { address, source }
    };
    let docker = docker_client_instance().await.map_err(|error| no_engine(error.into()))?;
    match timeout(PING_LIMIT, docker.ping()).await {
        Ok(Ok(_)) => Ok(docker),
        Ok(Err(error)) => Err(no_engine(error.into())),
        Err(error) => Err(no_engine(error.into())),
    }
}

pub(super) async fn has_image(docker: &Docker, image: &str) -> Result<bool, DockerError> {
    match docker.inspect_image(image).await {
        Ok(_) => Ok(true),
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The address of a container among containers.
pub(super) async fn address(id: &str) -> Result<IpAddr, DockerError> {
    let docker = connect().await?;
    let container = docker.inspect_container(id, None::<InspectContainerOptions>).await?;
    let networks = container.network_settings.and_then(|settings| settings.networks);
    let mut addresses = networks
        .into_iter()
        .flatten()
        .filter_map(|(_, network)| network.ip_address.and_then(|address| address.parse().ok()));
    addresses.next().ok_or_else(|| {
        std::io::Error::other(format!("container {id} has no address on a network")).into()
    })
}

/// Containers of this suite, running or not: the run that each belongs to, and its id.
pub(super) async fn containers(docker: &Docker) -> Result<Vec<(String, String)>, DockerError> {
    let filters = HashMap::from([("label", vec![LABEL])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let found = docker.list_containers(Some(options)).await?;
    let labelled =
        |container: ContainerSummary| Some((container.labels?.remove(LABEL)?, container.id?));
    Ok(found.into_iter().filter_map(labelled).collect())
}

/// Removes a container and its volumes, running or not; one that is gone already is no error.
pub(super) async fn remove(docker: &Docker, id: &str) -> Result<(), DockerError> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match docker.remove_container(id, Some(options)).await {
        // 409: someone else is removing it.
        Err(Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
        removed => Ok(removed?),
    }
}
