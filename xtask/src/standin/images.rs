//! The images: a small Debian with a Java, the jars and libchdb, and one program with two roles.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cache::short_digest;
use crate::run::Run;
use crate::standin::engine::Engine;

/// Takes the place of Redpanda, and of Apache Kafka.
pub(super) const BROKER: &str = "volley-standin/broker:latest";
/// Takes the place of ClickHouse.
pub(super) const CLICKHOUSE: &str = "volley-standin/clickhouse:latest";
const BASE: &str = "volley-standin/base:latest";

/// What the base image says it was made from.
const MADE_FROM: &str = "volley.made-from";
const JAVA: &str = "default-jre-headless";
/// For hosts that debootstrap has no recipe for.
const DEBIAN: &str = "bookworm";
/// Where the program in the images looks for its parts.
const INSIDE: &str = "standin";

/// A container that is only ever written to.
const BUILD: &str = "volley-standin-build";

/// What is put into the images.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    /// `standin` of the suite.
    pub(super) program: &'a Path,
    /// The folder of Apache Kafka's jars.
    pub(super) jars: &'a Path,
    /// libchdb.
    pub(super) library: &'a Path,
}

/// Makes both images: in seconds where the base is there, in minutes where it is not.
pub(super) fn make(engine: &Engine, parts: &Parts<'_>, folder: &Path) -> Result<()> {
    // Both may be there or not.
    engine.docker(&["rm", "--force", BUILD]).succeeds();
    engine.docker(&["rmi", "--force", BROKER, CLICKHOUSE]).succeeds();
    let release = release();
    let made_from = made_from(parts, &release)?;
    let asked = format!("{{{{ index .Config.Labels \"{MADE_FROM}\" }}}}");
    let there = engine.docker(&["image", "inspect", "--format", &asked, BASE]).output();
    if there.unwrap_or_default().trim() != made_from {
        engine.docker(&["rmi", "--force", BASE]).succeeds();
        make_base(engine, parts, &release, &made_from, &folder.join("root"))?;
    }

    engine.docker(&["create", "--name", BUILD, BASE, "none"]).output()?;
    let inside = format!("/{INSIDE}/standin");
    let to = format!("{BUILD}:{inside}");
    engine.docker(&["cp"]).args([parts.program, Path::new(&to)]).output()?;
    for (image, role) in [(BROKER, "broker"), (CLICKHOUSE, "clickhouse")] {
        let entry = format!("ENTRYPOINT [\"{inside}\", \"{role}\"]");
        engine.docker(&["commit", "--change", &entry, BUILD, image]).output()?;
        eprintln!("docker: {image}");
    }
    engine.docker(&["rm", BUILD]).output()?;
    Ok(())
}

/// The host's release, whose C library the program was linked against.
fn release() -> String {
    let os = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = os.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let is_known = |name: &&str| Path::new("/usr/share/debootstrap/scripts").join(name).is_file();
    codename.filter(|name| !name.is_empty()).filter(is_known).unwrap_or(DEBIAN).to_owned()
}

/// Differs when anything that the base is made of does.
fn made_from(parts: &Parts<'_>, release: &str) -> Result<String> {
    let n_bytes = fs::metadata(parts.library).context("libchdb could not be looked at")?.len();
    let (library, jars) = (parts.library.display(), parts.jars.display());
    Ok(short_digest(format!("{release} {JAVA} {library} {n_bytes} {jars}").as_bytes()))
}

fn make_base(
    engine: &Engine,
    parts: &Parts<'_>,
    release: &str,
    made_from: &str,
    root: &PathBuf,
) -> Result<()> {
    // An interrupted run may have left file systems mounted in it: those stay.
    let remove = || Run::new("rm").args(["-rf", "--one-file-system"]).args([root]).output();
    remove()?;
    eprintln!("debootstrap: {release} with {JAVA}, about 500 MB, some minutes");
    let include = format!("--include={JAVA}");
    Run::new("debootstrap").args(["--variant=minbase", &include, release]).args([root]).output()?;
    let inside = root.join(INSIDE);
    let copy = |from: &Path, to: &Path| {
        fs::copy(from, to)
            .map(|_| ())
            .with_context(|| format!("{} could not be copied to {}", from.display(), to.display()))
    };
    fs::create_dir_all(inside.join("jars")).context("the image's root cannot be written")?;
    copy(parts.library, &inside.join("libchdb.so"))?;
    for jar in fs::read_dir(parts.jars).context("the jars could not be listed")?.flatten() {
        copy(&jar.path(), &inside.join("jars").join(jar.file_name()))?;
    }
    eprintln!("docker: importing {BASE}");
    let label = format!("LABEL {MADE_FROM}={made_from}");
    let tar = Run::new("tar").args(["--create", "--directory"]).args([root]).args(["."]);
    engine.docker(&["import", "--change", &label, "-", BASE]).fed_by(tar)?;
    remove()?;
    Ok(())
}
