//! Redpanda or Apache Kafka, and ClickHouse, in containers of their own.
//!
//! testcontainers-modules has no Redpanda; two generic images with their command lines, published
//! on loopback and waited for until they answer, are shorter than modules for the rest.

mod broker;
mod engine;
mod images;
mod reaper;

pub use images::Images;
pub use reaper::reap_if_asked;

use std::{
    collections::HashMap,
    error::Error,
    io,
    time::{Duration, Instant},
};

use clickhouse::Client;
use testcontainers::{
    ContainerAsync, ContainerRequest, GenericImage, ImageExt as _, TestcontainersError,
    bollard::models::{HostConfig, PortBinding},
    core::{Host, IntoContainerPort as _},
    runners::AsyncRunner as _,
};
use tokio::{runtime::Handle, time::timeout};

use crate::{docker::reaper::Reaper, jars::tail};

/// How long a server may take to answer once its container runs.
const START_LIMIT: Duration = Duration::from_secs(90);

const HTTP_PORT: u16 = 8123;
const USER: &str = "volley";

type Container = ContainerAsync<GenericImage>;

/// Why there are no containers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DockerError {
    /// Nothing answers where an engine would be.
    #[error("no docker engine answers at {address}: start one, or name one in DOCKER_HOST")]
    NoEngine {
        /// Where it was looked for.
        address: String,
        /// What happened there.
        source: Box<dyn Error + Send + Sync>,
    },
    /// An image is not on this machine.
    #[error("image {image} is not here: `docker pull {image}`, or let VOLLEY_E2E=docker pull it")]
    NoImage {
        /// Its name.
        image: String,
    },
    /// The engine answers, and not as it should.
    #[error("the docker engine refuses")]
    Engine(#[from] testcontainers::bollard::errors::Error),
    /// No container came of an image.
    #[error("cannot run {image}")]
    Run {
        /// The image.
        image: String,
        /// What the engine said.
        source: TestcontainersError,
    },
    /// A container runs, or ran, and the server in it does not answer.
    #[error("{image} does not answer: {why}; its log ends:\n{log}")]
    NotReady {
        /// The image.
        image: String,
        /// What came instead of an answer, last.
        why: String,
        /// The end of its log.
        log: String,
    },
    /// No free port, or no process that tidies up.
    #[error("cannot prepare for containers")]
    Io(#[from] io::Error),
}

/// A broker and a ClickHouse in containers, published on loopback only.
///
/// They are removed when the value is dropped, and also when this process ends in any other way.
#[derive(Debug)]
pub(crate) struct DockerStack {
    /// Kafka's bootstrap address, from this machine.
    pub(crate) brokers: String,
    /// Kafka's bootstrap address, from the container with ClickHouse in it.
    pub(crate) inner_brokers: &'static str,
    /// ClickHouse's URL.
    pub(crate) url: String,
    /// ClickHouse's user.
    pub(crate) user: &'static str,
    /// That user's password.
    pub(crate) password: String,
    containers: Vec<(String, Container)>,
    runtime: Handle,
    _reaper: Reaper,
}

/// Whether an engine answers, and has the images that the environment names.
///
/// # Errors
///
/// [`DockerError::NoEngine`], [`DockerError::NoImage`].
pub(crate) fn check_images() -> Result<(), DockerError> {
    engine::block_on(async {
        let docker = engine::connect().await?;
        for image in Images::from_env().names() {
            if !engine::has_image(&docker, image).await? {
                return Err(DockerError::NoImage { image: image.to_owned() });
            }
        }
        Ok(())
    })
}

/// Whether an engine answers.
///
/// # Errors
///
/// [`DockerError::NoEngine`].
pub(crate) fn check_engine() -> Result<(), DockerError> {
    engine::block_on(async { engine::connect().await.map(|_| ()) })
}

/// The containers that the process `pid` has running here, by their ids.
///
/// # Errors
///
/// If the engine does not answer.
pub fn containers_of(pid: u32) -> Result<Vec<String>, DockerError> {
    engine::block_on(async {
        let found = engine::containers(&engine::connect().await?).await?;
        let prefix = format!("{pid}-");
        Ok(found
            .into_iter()
            .filter(|(run, _)| run.starts_with(&prefix))
            .map(|(_, id)| id)
            .collect())
    })
}

impl DockerStack {
    /// Starts both and waits until they answer: some seconds, and as long as it takes to pull what
    /// is not here.
    ///
    /// # Errors
    ///
    /// [`DockerError`], with the end of the log of what did not start.
    pub(crate) fn start(runtime: &Handle, images: &Images) -> Result<Self, DockerError> {
        // Containers that are dropped ask the runtime that they find.
        let _context = runtime.enter();
        let reaper = Reaper::start()?;
        let started = Instant::now();
        let broker = broker::start(runtime, &images.broker, reaper.run())?;
        let broker_address = runtime.block_on(engine::address(broker.container.id()))?;

        let password = format!("{:016x}", rand::random::<u64>());
        let request = image(&images.clickhouse)
            .with_exposed_port(HTTP_PORT.tcp())
            .with_env_var("CLICKHOUSE_USER", USER)
            .with_env_var("CLICKHOUSE_PASSWORD", &password)
            .with_env_var("CLICKHOUSE_DB", USER)
            .with_env_var("CLICKHOUSE_DEFAULT_ACCESS_MANAGEMENT", "1")
            .with_host(broker::HOST, Host::Addr(broker_address));
        let clickhouse = run(runtime, request, &images.clickhouse, reaper.run(), HTTP_PORT, None)?;
        let port = runtime.block_on(clickhouse.get_host_port_ipv4(HTTP_PORT.tcp()));
        let port = port.map_err(failed_to_run(&images.clickhouse))?;
        let url = format!("http://127.0.0.1:{port}");
        let client = Client::default().with_url(&url).with_user(USER).with_password(&password);
        wait(runtime, &clickhouse, &images.clickhouse, || {
            let answer = timeout(Duration::from_secs(2), client.query("SELECT 1").execute());
            match runtime.block_on(answer) {
                Ok(answer) => answer.map_err(|error| error.to_string()),
                Err(_) => Err("no answer in 2 s".to_owned()),
            }
        })?;
        eprintln!("stack docker: up in {:.1} s", started.elapsed().as_secs_f64());
        Ok(Self {
            brokers: broker.address,
            inner_brokers: broker::INNER_ADDRESS,
            url,
            user: USER,
            password,
            containers: vec![
                (images.broker.name().to_owned(), broker.container),
                (images.clickhouse.clone(), clickhouse),
            ],
            runtime: runtime.clone(),
            _reaper: reaper,
        })
    }

    /// The end of both logs.
    pub(crate) fn log_tails(&self) -> String {
        let tail = |(image, container): &(String, Container)| {
            format!("log of {image} ends:\n{}\n", log_tail(&self.runtime, container))
        };
        self.containers.iter().map(tail).collect()
    }
}

impl Drop for DockerStack {
    fn drop(&mut self) {
        let _context = self.runtime.enter();
        self.containers.clear();
    }
}

/// `name:tag` as testcontainers takes it; a name without a tag is that of the latest.
fn image(name: &str) -> GenericImage {
    let (name, tag) = match name.rsplit_once(':') {
        // A registry's port is no tag.
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (name, "latest"),
    };
    GenericImage::new(name, tag)
}

/// Starts a container whose `port` is published on loopback, as `host_port` or any.
fn run(
    runtime: &Handle,
    request: ContainerRequest<GenericImage>,
    image: &str,
    run: &str,
    port: u16,
    host_port: Option<u16>,
) -> Result<Container, DockerError> {
    let publish = move |config: &mut HostConfig| {
        let binding = PortBinding {
            host_ip: Some("127.0.0.1".to_owned()),
            host_port: host_port.map(|port| port.to_string()),
        };
        config.publish_all_ports = Some(false);
        config.port_bindings = Some(HashMap::from([(format!("{port}/tcp"), Some(vec![binding]))]));
    };
    let request = request.with_label(reaper::LABEL, run).with_host_config_modifier(publish);
    runtime.block_on(request.start()).map_err(failed_to_run(image))
}

/// Asks until there is an answer, no time left, or no container.
fn wait(
    runtime: &Handle,
    container: &Container,
    image: &str,
    mut ask: impl FnMut() -> Result<(), String>,
) -> Result<(), DockerError> {
    let started = Instant::now();
    loop {
        let Err(why) = ask() else { return Ok(()) };
        let runs = runtime.block_on(container.is_running()).unwrap_or(false);
        if !runs || started.elapsed() > START_LIMIT {
            let why = if runs { why } else { "its container has ended".to_owned() };
            let log = log_tail(runtime, container);
            return Err(DockerError::NotReady { image: image.to_owned(), why, log });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn log_tail(runtime: &Handle, container: &Container) -> String {
    let (stdout, stderr) = runtime
        .block_on(async { tokio::join!(container.stdout_to_vec(), container.stderr_to_vec()) });
    let text = |log: Result<Vec<u8>, TestcontainersError>| match log {
        Ok(log) => tail(&String::from_utf8_lossy(&log), 40),
        Err(error) => format!("no log: {error}"),
    };
    [text(stdout), text(stderr)].join("\n").trim().to_owned()
}

fn failed_to_run(image: &str) -> impl Fn(TestcontainersError) -> DockerError {
    move |source| DockerError::Run { image: image.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use testcontainers::Image as _;

    use super::*;

    #[test]
    fn images_are_named_with_their_tags() {
        let check = |name, expect: (&str, &str)| {
            let image = image(name);
            assert_eq!((image.name(), image.tag()), expect, "{name}");
        };
        check("apache/kafka", ("apache/kafka", "latest"));
        check("apache/kafka:4.1.0", ("apache/kafka", "4.1.0"));
        check("localhost:5000/kafka", ("localhost:5000/kafka", "latest"));
        check("localhost:5000/kafka:4", ("localhost:5000/kafka", "4"));
    }
}
