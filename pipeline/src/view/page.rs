use std::{collections::HashMap, fs, io, path::Path, sync::Arc};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;

/// The files that were put into the binary, with their names; empty where none were.
const BUILT_IN: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

const INDEX: &str = "index.html";
/// Tells the page that an API is behind it. Static hosts serve it without.
const MARK: &str = "<meta name=\"volley-view\" content=\"1\">\n</head>";
/// Beside the policy in the page itself: a meta element cannot forbid frames.
pub(super) const FRAMES: HeaderValue = HeaderValue::from_static("frame-ancestors 'none'");
/// What to do where there is no page, for people who look for one.
const MISSING: &str = "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Volley</title>\n\
    <h1>The page is not in this binary</h1>\n\
    <p>It was built without it. <code>cargo xtask build</code> builds one that has it; or build the page \
    alone with <code>cargo xtask viewer</code> and name it by \
    <code>volley view --page target/viewer/site</code>.</p>\n</html>\n";

/// The inspector's page, read once: no request reaches the file system.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    files: Arc<HashMap<String, Bytes>>,
}

impl Page {
    /// The page in this binary; one that says how to build it where there is none.
    pub(crate) fn built_in() -> Self {
        let files = BUILT_IN.iter();
        Self::of(files.map(|(name, bytes)| ((*name).to_owned(), Bytes::from_static(bytes))))
    }

    /// Whether it is there.
    pub(crate) fn is_built(&self) -> bool {
        self.files.len() > 1
    }

    /// The page in a folder, as `cargo xtask viewer` writes it.
    ///
    /// # Errors
    ///
    /// Where the folder cannot be read or has no `index.html`.
    pub(crate) fn in_folder(folder: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if let (Ok(name), true) = (entry.file_name().into_string(), entry.path().is_file()) {
                files.push((name, Bytes::from(fs::read(entry.path())?)));
            }
        }
        if !files.iter().any(|(name, _)| name == INDEX) {
            return Err(io::Error::new(io::ErrorKind::NotFound, "it holds no index.html"));
        }
        Ok(Self::of(files.into_iter()))
    }

    fn of(files: impl Iterator<Item = (String, Bytes)>) -> Self {
        let mut files: HashMap<_, _> = files.collect();
        let index = files.entry(INDEX.to_owned()).or_insert(Bytes::from_static(MISSING.as_bytes()));
        let marked = String::from_utf8_lossy(index).replacen("</head>", MARK, 1);
        *index = marked.into();
        Self { files: Arc::new(files) }
    }

    /// The answer to a request for `path`, which begins with a slash.
    pub(super) fn answer(&self, path: &str) -> Response {
        let name = path.strip_prefix('/').filter(|name| !name.is_empty()).unwrap_or(INDEX);
        let Some(bytes) = self.files.get(name) else {
            return (StatusCode::NOT_FOUND, "no such page\n").into_response();
        };
        let kind = HeaderValue::from_static(content_type(name));
        ([(header::CONTENT_TYPE, kind)], bytes.clone()).into_response()
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(response: Response) -> String {
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn without_a_page_it_says_how_to_build_one() {
        let page = Page::of(std::iter::empty());
        assert!(!page.is_built());
        let shown = text(page.answer("/")).await;
        assert!(shown.contains("cargo xtask build") && shown.contains("--page"), "{shown}");
    }

    #[tokio::test]
    async fn a_folder_is_served_by_names_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Page::in_folder(folder.path()).is_err());
        fs::write(folder.path().join(INDEX), "<head></head>").unwrap();
        fs::write(folder.path().join("app.js"), "1").unwrap();
        let page = Page::in_folder(folder.path()).unwrap();
        fs::write(folder.path().join("later.js"), "2").unwrap();
        assert!(text(page.answer("/")).await.contains("volley-view"));
        let script = page.answer("/app.js");
        assert_eq!(script.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        for path in ["/later.js", "/../app.js", "//app.js", "/app.js/", "/%61pp.js"] {
            assert_eq!(page.answer(path).status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
}
