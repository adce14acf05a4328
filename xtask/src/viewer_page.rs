//! The page's files as they are served, and joined into one.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

/// The page's modules, each after those that it imports.
const MODULES: [&str; 27] = [
    "format.js",
    "fragment.js",
    "api.js",
    "theme.js",
    "regions.js",
    "scroller.js",
    "assets.js",
    "client.js",
    "columns.js",
    "compare.js",
    "messages.js",
    "sources.js",
    "envelope.js",
    "live.js",
    "grid.js",
    "filter.js",
    "hex.js",
    "map.js",
    "open.js",
    "schema.js",
    "values.js",
    "sheets.js",
    "tabs.js",
    "verdict.js",
    "pareto.js",
    "whatif.js",
    "app.js",
];
const STYLE_LINK: &str = "<link rel=\"stylesheet\" href=\"style.css\">";
const SCRIPT_LINK: &str = "<script type=\"module\" src=\"app.js\"></script>";
/// Directives of the page's policy that are others where all is one file, or for chosen origins.
const OWN_SCRIPTS: &str = "script-src 'self'";
const OWN_WORKERS: &str = "worker-src 'self'";
const OWN_STYLES: &str = "style-src 'self'";
const OWN_CONNECTIONS: &str = "connect-src 'self'";

/// Everything that the page is made of.
#[derive(Debug)]
pub(crate) struct Page {
    html: String,
    style: String,
    modules: Vec<(&'static str, String)>,
    /// wasm-bindgen's code and the page's own, for a classic worker.
    worker: String,
    wasm: Vec<u8>,
}

impl Page {
    /// Reads the sources, and what wasm-bindgen wrote to `glue`.
    pub(crate) fn read(source: &Path, glue: &Path, origins: &[String]) -> Result<Self> {
        let bytes = |path: &Path| {
            fs::read(path).with_context(|| format!("{} could not be read", path.display()))
        };
        let text = |path: &Path| {
            String::from_utf8(bytes(path)?).with_context(|| format!("{}", path.display()))
        };
        let connections = [&[OWN_CONNECTIONS.to_owned()], origins].concat().join(" ");
        let modules = MODULES.iter().map(|name| Ok((*name, text(&source.join(name))?)));
        let glue_script = text(&glue.join("volley_viewer.js"))?;
        Ok(Self {
            html: replaced(&text(&source.join("index.html"))?, OWN_CONNECTIONS, &connections)?,
            style: text(&source.join("style.css"))?,
            modules: modules.collect::<Result<_>>()?,
            worker: glue_script + &text(&source.join("worker.js"))?,
            wasm: bytes(&glue.join("volley_viewer_bg.wasm"))?,
        })
    }

    /// The files of the folder, with their names.
    pub(crate) fn site(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let mut files = vec![
            ("index.html".to_owned(), self.html.clone().into_bytes()),
            ("style.css".to_owned(), self.style.clone().into_bytes()),
            ("worker.js".to_owned(), self.worker.clone().into_bytes()),
            ("volley_viewer.wasm".to_owned(), self.wasm.clone()),
        ];
        for (name, text) in &self.modules {
            files.push(((*name).to_owned(), text.clone().into_bytes()));
        }
        Ok(files)
    }

    /// The page as one file. Browsers refuse modules and workers from a disk, so the modules become
    /// one script, and the worker and the wasm blocks of data.
    pub(crate) fn single_file(&self) -> Result<String> {
        let script = joined(&self.modules)?;
        let style = &self.style;
        for inlined in [&script, &self.worker, style] {
            let ends = inlined.contains("</script") || inlined.contains("</style");
            ensure!(!ends && !inlined.contains("<!--"), "an inlined file ends its own element");
        }
        let scripts = format!("script-src '{}'", digest(&script));
        let styles = format!("style-src '{}'", digest(style));
        let data = format!(
            "<script type=\"text/plain\" id=\"volley-worker\">{}</script>\n\
             <script type=\"text/plain\" id=\"volley-wasm\">{}</script>\n\
             <script type=\"module\">{script}</script>",
            self.worker,
            base64(&self.wasm)
        );
        let mut html = self.html.clone();
        for (from, to) in [
            (OWN_SCRIPTS, &*scripts),
            (OWN_WORKERS, "worker-src blob:"),
            (OWN_STYLES, &*styles),
            (STYLE_LINK, &*format!("<style>{style}</style>")),
            (SCRIPT_LINK, &*data),
        ] {
            html = replaced(&html, from, to)?;
        }
        Ok(html)
    }
}

/// Origins as a policy takes them.
pub(crate) fn checked_origins(origins: &[String]) -> Result<Vec<String>> {
    for origin in origins {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        let is_plain = |host: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-.:[]*".contains(c);
            !host.is_empty() && host.chars().all(allowed)
        };
        ensure!(
            host.is_some_and(is_plain),
            "--connect {origin} is no origin; one is https://host or https://host:port"
        );
    }
    Ok(origins.to_vec())
}

fn replaced(text: &str, from: &str, to: &str) -> Result<String> {
    ensure!(text.matches(from).count() == 1, "index.html should hold `{from}` once");
    Ok(text.replace(from, to))
}

/// One script of modules that import each other's exports by name: each becomes a function of its
/// own scope that returns what it exports.
fn joined(modules: &[(&str, String)]) -> Result<String> {
    let scope = |name: &str| format!("from_{}", name.trim_end_matches(".js"));
    let mut script = String::new();
    for (at, (name, text)) in modules.iter().enumerate() {
        let _ = writeln!(script, "const {} = (() => {{", scope(name));
        let mut exports = Vec::new();
        for line in text.lines() {
            if let Some(import) = line.strip_prefix("import ") {
                let parts = import.strip_suffix("\";").and_then(|i| i.split_once(" from \"./"));
                let Some((names, from)) = parts.filter(|(names, _)| !names.contains(" as ")) else {
                    bail!("{name}: `{line}` is no import of names in one line");
                };
                let is_before = modules[..at].iter().any(|(other, _)| *other == from);
                ensure!(is_before, "{name} imports {from}, which should come before it");
                let _ = writeln!(script, "const {names} = {};", scope(from));
            } else if let Some(declaration) = line.strip_prefix("export ") {
                let mut words = declaration.split([' ', '(']);
                words.find(|word| ["const", "function", "class"].contains(word));
                let export = words.next();
                exports.push(export.with_context(|| format!("{name}: what does `{line}` export"))?);
                let _ = writeln!(script, "{declaration}");
            } else {
                let _ = writeln!(script, "{line}");
            }
        }
        let _ = writeln!(script, "return {{ {} }};\n}})();", exports.join(", "));
    }
    Ok(script)
}

fn digest(text: &str) -> String {
    format!("sha256-{}", base64(&Sha256::digest(text)))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let value = word >> (18 - 6 * digit) & 63;
            let is_filler = digit > chunk.len() as u32;
            text.push(if is_filler { '=' } else { DIGITS[value as usize] as char });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::workspace_root;

    fn page(origins: &[&str]) -> Page {
        let glue = tempfile::tempdir().unwrap();
        fs::write(glue.path().join("volley_viewer.js"), "let wasm_bindgen;").unwrap();
        fs::write(glue.path().join("volley_viewer_bg.wasm"), b"\0asm").unwrap();
        let origins: Vec<_> = origins.iter().map(|&origin| origin.to_owned()).collect();
        Page::read(&workspace_root().join("wasm-viewer/page"), glue.path(), &origins).unwrap()
    }

    #[test]
    fn base64_is_the_usual() {
        let check = |bytes: &[u8], expect| assert_eq!(base64(bytes), expect);
        check(b"", "");
        check(b"f", "Zg==");
        check(b"fo", "Zm8=");
        check(b"foo", "Zm9v");
        check(&[0xff, 0xfe, 0xfd, 0xfc], "//79/A==");
    }

    #[test]
    fn modules_are_joined_in_order() {
        let module = |name, text: &str| (name, text.to_owned());
        let one = module("one.js", "export const a = 1;\n");
        let two = module("two.js", "import { a } from \"./one.js\";\nlet b = a;\n");
        assert_eq!(
            joined(&[one.clone(), two.clone()]).unwrap(),
            "const from_one = (() => {\nconst a = 1;\nreturn { a };\n})();\n\
             const from_two = (() => {\nconst { a } = from_one;\nlet b = a;\nreturn {  };\n})();\n"
        );
        let error = joined(&[two, one.clone()]).unwrap_err().to_string();
        assert_eq!(error, "two.js imports one.js, which should come before it");
        let renamed = module("two.js", "import { a as b } from \"./one.js\";\n");
        assert!(joined(&[one, renamed]).is_err());
    }

    #[test]
    fn one_file_needs_no_other() {
        let html = page(&[]).single_file().unwrap();
        for other in ["href=\"style.css\"", "src=\"app.js\"", "\nimport ", "\nexport "] {
            assert!(!html.contains(other), "{other}");
        }
        let policy = html.lines().find(|line| line.contains("Content-Security-Policy")).unwrap();
        assert!(policy.contains("worker-src blob:") && policy.contains("script-src 'sha256-"));
        assert!(!policy.contains("unsafe-inline") && !policy.contains("://"), "{policy}");
    }

    /// Every module of the page is in the list, and nothing else is served.
    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = workspace_root().join("wasm-viewer/page");
        let entries = fs::read_dir(folder).unwrap();
        let mut there: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        there.push("volley_viewer.wasm".to_owned());
        there.sort();
        let mut served: Vec<_> = page(&[]).site().unwrap().into_iter().map(|f| f.0).collect();
        served.sort();
        assert_eq!(served, there);
    }

    #[test]
    fn origins_are_added_to_the_policy() {
        let page = page(&["https://data.example"]);
        assert!(page.html.contains("connect-src 'self' https://data.example;"));
        let check = |origin: &str| checked_origins(&[origin.to_owned()]);
        assert!(check("https://data.example:8443").is_ok());
        for wrong in ["data.example", "https://", "https://a; script-src *", "*"] {
            let error = check(wrong).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--connect {wrong} is no origin")), "{error}");
        }
    }
}
