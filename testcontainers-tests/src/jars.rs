//! Apache Kafka's jars, by Maven into the cache.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use volley_embedded::cache::cache_dir;

/// The release that the native stack runs.
pub const KAFKA_VERSION: &str = "4.1.0";

const COPY_DEPENDENCIES: &str =
    "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// The oldest Java that this Kafka runs on.
const MIN_JAVA: u32 = 17;

/// How to get what is missing.
const INSTALL: &str = "install it (Debian and Ubuntu: apt-get install openjdk-17-jre-headless maven; \
     macOS: brew install openjdk maven), or run one stack with VOLLEY_E2E=embedded";

/// Why there are no jars, or nothing to run them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JarsError {
    /// No `java` of 17 or later on the path.
    #[error("apache kafka needs java {MIN_JAVA} or later, found {found}: {INSTALL}")]
    Java {
        /// What was found instead.
        found: String,
    },
    /// No `mvn` on the path, and no jars in the cache.
    #[error("apache kafka's jars need mvn, found none: {INSTALL}")]
    Maven,
    /// Maven ran and failed.
    #[error("mvn did not fetch apache kafka's jars:\n{output}")]
    Fetch {
        /// The end of what it said.
        output: String,
    },
    /// The cache cannot be written.
    #[error("cannot use {}", path.display())]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Whether [`ensure`] has what it needs: Java, and the jars or Maven.
///
/// # Errors
///
/// [`JarsError::Java`], [`JarsError::Maven`].
pub(crate) fn check() -> Result<(), JarsError> {
    check_java()?;
    if folder().is_dir() || answers("mvn") { Ok(()) } else { Err(JarsError::Maven) }
}

/// The folder with the jars, which Maven fills the first time.
///
/// # Errors
///
/// [`JarsError`].
pub fn ensure() -> Result<PathBuf, JarsError> {
    check()?;
    let jars = folder();
    if jars.is_dir() {
        return Ok(jars);
    }
    let cache = |path: &Path| {
        let path = path.to_owned();
        move |source| JarsError::Cache { path, source }
    };
    let parent = jars.parent().unwrap_or(&jars);
    fs::create_dir_all(parent).map_err(cache(parent))?;
    // Beside the final place, so that only a whole folder ever gets its name.
    let fresh = tempfile::Builder::new().prefix(".jars-").tempdir_in(parent);
    let fresh = fresh.map_err(cache(parent))?;
    let pom = fresh.path().join("pom.xml");
    fs::write(&pom, project()).map_err(cache(&pom))?;
    eprintln!("fetching Apache Kafka {KAFKA_VERSION} (43 MB) with mvn");
    let fetched = fresh.path().join("jars");
    let output = Command::new("mvn")
        .args(["--batch-mode", "--quiet", "--file"])
        .arg(&pom)
        .args([COPY_DEPENDENCIES, "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", fetched.display()))
        .stdin(Stdio::null())
        .output()
        .map_err(|_| JarsError::Maven)?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        return Err(JarsError::Fetch { output: tail(&String::from_utf8_lossy(&said), 20) });
    }
    match fs::rename(&fetched, &jars) {
        // Someone else was faster.
        Err(_) if jars.is_dir() => Ok(jars),
        renamed => renamed.map_err(cache(&jars)).map(|()| jars),
    }
}

/// The last `n_lines` lines of a text.
pub(crate) fn tail(text: &str, n_lines: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(n_lines)..].join("\n")
}

fn folder() -> PathBuf {
    cache_dir().join("kafka").join(KAFKA_VERSION).join("jars")
}

/// Kafka, and a logger that writes to standard error.
fn project() -> String {
    let dependency = |group: &str, artifact: &str, version: &str| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>"
        )
    };
    let kafka = dependency("org.apache.kafka", "kafka_2.13", KAFKA_VERSION);
    let logger = dependency("org.slf4j", "slf4j-simple", "1.7.36");
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>volley</groupId><artifactId>kafka-jars</artifactId><version>1</version>\
         <dependencies>{kafka}{logger}</dependencies></project>"
    )
}

fn check_java() -> Result<(), JarsError> {
    let output = Command::new("java").arg("-version").stdin(Stdio::null()).output();
    let Ok(output) = output else {
        return Err(JarsError::Java { found: "none".to_owned() });
    };
    let text = String::from_utf8_lossy(&output.stderr);
    match java_version(&text) {
        Some(version) if version >= MIN_JAVA => Ok(()),
        _ => {
            let found = text.lines().next().unwrap_or("no version").to_owned();
            Err(JarsError::Java { found })
        }
    }
}

fn answers(program: &str) -> bool {
    let mut command = Command::new(program);
    let command = command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The 17 of `openjdk version "17.0.15" 2025-04-15`; old ones say `"1.8.0_392"`.
fn java_version(text: &str) -> Option<u32> {
    let (_, quoted) = text.split_once("version \"")?;
    let digits: String = quoted.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_versions_are_read() {
        let check = |text, expect| assert_eq!(java_version(text), expect, "{text}");
        check("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime", Some(17));
        check("java version \"1.8.0_392\"", Some(1));
        check("openjdk version \"25\" 2025-09-16", Some(25));
        check("command not found", None);
    }

    #[test]
    fn tails_are_the_end() {
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
        assert_eq!(tail("a", 2), "a");
    }
}
