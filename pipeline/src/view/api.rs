use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Query, State, WebSocketUpgrade},
    http::{HeaderValue, Uri, header},
    middleware,
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{
    Cluster, Files, Guard, Page,
    cluster::{MAX_MESSAGES, Messages, Topic, TopicName},
    error::ApiError,
    files::FileName,
    guard,
    tail::Tail,
};
use crate::shutdown::Shutdown;

/// Most tails at a time: each has a consumer and a ring of its own.
const MAX_TAILS: usize = 8;
/// Nothing longer than `follow` is said to us.
const MAX_SAID: usize = 64;

struct Api {
    page: Page,
    files: Files,
    cluster: Option<Cluster>,
    tails: Arc<Semaphore>,
    shutdown: Shutdown,
}

#[derive(Serialize)]
struct About {
    version: &'static str,
    files: Vec<FileName>,
    brokers: Option<String>,
}

#[derive(Deserialize)]
struct Range {
    first: i64,
    count: Option<i64>,
}

#[derive(Deserialize)]
struct Tailed {
    topic: String,
}

pub(super) fn router(
    page: Page,
    files: Files,
    cluster: Option<Cluster>,
    guard: Guard,
    shutdown: Shutdown,
) -> Router {
    let tails = Arc::new(Semaphore::new(MAX_TAILS));
    let api = Api { page, files, cluster, tails, shutdown };
    Router::new()
        .route("/api/view", get(about))
        .route("/api/files/{index}", get(file))
        .route("/api/topics", get(topics))
        .route("/api/topics/{topic}", get(topic))
        .route("/api/topics/{topic}/{partition}", get(messages))
        .route("/api/topics/{topic}/{partition}/{offset}", get(value))
        .route("/api/tail", get(tail))
        .fallback_service(get(page_file).with_state(Arc::new(api.page.clone())))
        .layer(middleware::from_fn_with_state(Arc::new(guard), guard::check))
        .with_state(Arc::new(api))
}

impl Api {
    fn cluster(&self) -> Result<&Cluster, ApiError> {
        self.cluster.as_ref().ok_or(ApiError::NoKafka)
    }
}

async fn page_file(State(page): State<Arc<Page>>, uri: Uri) -> Response {
    match uri.path() {
        path if path.starts_with("/api/") => ApiError::NoSuchPath.into_response(),
        path => page.answer(path),
    }
}

async fn about(State(api): State<Arc<Api>>) -> Json<About> {
    let brokers = api.cluster.as_ref().map(|cluster| cluster.options().brokers.clone());
    Json(About { version: env!("CARGO_PKG_VERSION"), files: api.files.names(), brokers })
}

async fn file(State(api): State<Arc<Api>>, Path(index): Path<usize>) -> Result<Response, ApiError> {
    api.files.answer(index).await
}

async fn topics(State(api): State<Arc<Api>>) -> Result<Json<Vec<TopicName>>, ApiError> {
    Ok(Json(api.cluster()?.topics().await?))
}

async fn topic(
    State(api): State<Arc<Api>>,
    Path(topic): Path<String>,
) -> Result<Json<Topic>, ApiError> {
    Ok(Json(api.cluster()?.topic(topic).await?))
}

async fn messages(
    State(api): State<Arc<Api>>,
    Path((topic, partition)): Path<(String, i32)>,
    Query(Range { first, count }): Query<Range>,
) -> Result<Json<Messages>, ApiError> {
    let count = count.unwrap_or(MAX_MESSAGES);
    Ok(Json(api.cluster()?.messages(topic, partition, first, count).await?))
}

async fn value(
    State(api): State<Arc<Api>>,
    Path((topic, partition, offset)): Path<(String, i32, i64)>,
) -> Result<Response, ApiError> {
    let value = api.cluster()?.value(topic, partition, offset).await?;
    let kind = HeaderValue::from_static("application/octet-stream");
    Ok(([(header::CONTENT_TYPE, kind)], value).into_response())
}

async fn tail(
    State(api): State<Arc<Api>>,
    Query(Tailed { topic }): Query<Tailed>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    let permit = Arc::clone(&api.tails).try_acquire_owned();
    let permit = permit.map_err(|_| ApiError::Busy("8 tails"))?;
    // Before the socket opens, so that what comes afterwards is told.
    let tail = Tail::start(api.cluster()?, topic).await?;
    let shutdown = api.shutdown.clone();
    let upgrade = upgrade.max_message_size(MAX_SAID).max_frame_size(MAX_SAID);
    Ok(upgrade.on_upgrade(move |socket| async move {
        tail.tell(socket, shutdown).await;
        drop(permit);
    }))
}
