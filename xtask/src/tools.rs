//! Programs that must be there, and how each system installs them.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::cache::{CacheLock, cache_dir};
use crate::run::Run;

/// A program, how to see that it works, and the packages that bring it.
#[derive(Debug)]
pub(crate) struct Tool {
    name: &'static str,
    /// A command line that exits with 0 where the tool is fit for use.
    probe: &'static [&'static str],
    apt: &'static [&'static str],
    dnf: &'static [&'static str],
    brew: &'static [&'static str],
}

pub(crate) const NPM: Tool = Tool {
    name: "npm",
    probe: &["npm", "--version"],
    apt: &["npm"],
    dnf: &["npm"],
    brew: &["node"],
};

/// Runs the tests of the browser inspector, and arrow-js's reader in the end-to-end tests.
pub(crate) const NODE: Tool = Tool {
    name: "node (20 or later)",
    probe: &["node", "-e", "process.exit(Number(parseInt(process.versions.node) < 20))"],
    apt: &["nodejs"],
    dnf: &["nodejs"],
    brew: &["node"],
};

pub(crate) const TAR: Tool = Tool {
    name: "tar",
    probe: &["tar", "--version"],
    apt: &["tar"],
    dnf: &["tar"],
    brew: &["gnu-tar"],
};

pub(crate) const PYTHON: Tool = Tool {
    name: "python3 (3.10 or later, with venv)",
    probe: &["python3", "-c", "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))"],
    apt: &["python3", "python3-venv"],
    dnf: &["python3"],
    brew: &["python@3.13"],
};

pub(crate) const CURL: Tool = Tool {
    name: "curl",
    probe: &["curl", "--version"],
    apt: &["curl"],
    dnf: &["curl"],
    brew: &["curl"],
};

/// Runs Apache Kafka.
pub(crate) const JAVA: Tool = Tool {
    name: "java (17 or later)",
    probe: &["java", "--version"],
    apt: &["openjdk-17-jre-headless"],
    dnf: &["java-21-openjdk-headless"],
    brew: &["openjdk"],
};

/// Runs Apache Kafka too, and arrow-java's reader in the end-to-end tests, from its source.
pub(crate) const JDK: Tool = Tool {
    name: "javac (17 or later)",
    probe: &["javac", "--version"],
    apt: &["openjdk-17-jdk-headless"],
    dnf: &["java-21-openjdk-devel"],
    brew: &["openjdk"],
};

/// A reader of topics in the end-to-end tests, which do without it where they may skip.
pub(crate) const KCAT: Tool =
    Tool { name: "kcat", probe: &["kcat", "-V"], apt: &["kcat"], dnf: &["kcat"], brew: &["kcat"] };

/// Fetches Apache Kafka and arrow-java.
pub(crate) const MAVEN: Tool = Tool {
    name: "mvn",
    probe: &["mvn", "--version"],
    apt: &["maven"],
    dnf: &["maven"],
    brew: &["maven"],
};

/// Makes a Debian in a folder.
pub(crate) const DEBOOTSTRAP: Tool = Tool {
    name: "debootstrap",
    probe: &["debootstrap", "--version"],
    apt: &["debootstrap"],
    dnf: &["debootstrap"],
    brew: &["debootstrap"],
};

/// Docker's client.
pub(crate) const DOCKER: Tool = Tool {
    name: "docker",
    probe: &["docker", "--version"],
    apt: &["docker.io"],
    dnf: &["docker-cli"],
    brew: &["docker"],
};

/// Docker's engine.
pub(crate) const DOCKERD: Tool = Tool {
    name: "dockerd",
    probe: &["dockerd", "--version"],
    apt: &["docker.io"],
    dnf: &["moby-engine"],
    brew: &["docker"],
};

/// What the C libraries that we link are built with.
pub(crate) const C_BUILD: [Tool; 3] = [
    Tool {
        name: "cc",
        probe: &["cc", "--version"],
        apt: &["gcc", "libc6-dev"],
        dnf: &["gcc"],
        brew: &["gcc"],
    },
    Tool {
        name: "c++",
        probe: &["c++", "--version"],
        apt: &["g++"],
        dnf: &["gcc-c++"],
        brew: &["gcc"],
    },
    Tool {
        name: "make",
        probe: &["make", "--version"],
        apt: &["make"],
        dnf: &["make"],
        brew: &["make"],
    },
];

/// OpenSSL's own build is driven by Perl.
pub(crate) const PERL: Tool = Tool {
    name: "perl",
    probe: &["perl", "-MFindBin", "-MIPC::Cmd", "-e", "0"],
    apt: &["perl"],
    dnf: &["perl"],
    brew: &["perl"],
};

/// Compiles zstd's C code for the browser.
pub(crate) const CLANG: Tool = Tool {
    name: "clang",
    probe: &["clang", "--version"],
    apt: &["clang"],
    dnf: &["clang"],
    brew: &["llvm"],
};

#[derive(Clone, Copy, Debug)]
enum Manager {
    Apt,
    Dnf,
    Brew,
}

impl Manager {
    fn detect() -> Option<Self> {
        let is_there = |program: &str| Run::new(program).args(["--version"]).succeeds();
        [(Self::Apt, "apt-get"), (Self::Dnf, "dnf"), (Self::Brew, "brew")]
            .into_iter()
            .find_map(|(manager, program)| is_there(program).then_some(manager))
    }

    fn packages(self, tool: &Tool) -> &'static [&'static str] {
        match self {
            Self::Apt => tool.apt,
            Self::Dnf => tool.dnf,
            Self::Brew => tool.brew,
        }
    }

    fn install_command(self, tools: &[&Tool]) -> String {
        let command = match self {
            Self::Apt => "sudo apt-get install",
            Self::Dnf => "sudo dnf install",
            Self::Brew => "brew install",
        };
        let mut line = command.to_owned();
        for package in tools.iter().flat_map(|tool| self.packages(tool)) {
            if !line.split(' ').any(|word| word == *package) {
                line.push(' ');
                line.push_str(package);
            }
        }
        line
    }
}

/// Sees to it that `tools` work: as root on Debian and its kin by installing what is missing,
/// elsewhere by saying how.
///
/// # Errors
/// Names everything that is missing, with one command that installs it.
pub(crate) fn need<'a>(tools: impl IntoIterator<Item = &'a Tool>) -> Result<()> {
    let mut missing = missing(tools);
    if missing.is_empty() {
        return Ok(());
    }
    if can_install() {
        let packages: Vec<_> = missing.iter().flat_map(|tool| tool.apt).copied().collect();
        install(&packages)?;
        missing = self::missing(missing);
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!("{}", how_to_install(&missing, Manager::detect()))
}

/// As [`need`], for what is done without where it is missing.
pub(crate) fn offer(tool: &Tool) {
    if let Err(error) = need([tool]) {
        eprintln!("optional: {error:#}");
    }
}

fn missing<'a>(tools: impl IntoIterator<Item = &'a Tool>) -> Vec<&'a Tool> {
    let works = |tool: &Tool| Run::new(tool.probe[0]).args(&tool.probe[1..]).succeeds();
    let mut missing: Vec<&Tool> = Vec::new();
    for tool in tools {
        // Several may need one tool.
        if !works(tool) && missing.iter().all(|other| other.name != tool.name) {
            missing.push(tool);
        }
    }
    missing
}

fn how_to_install(missing: &[&Tool], manager: Option<Manager>) -> String {
    let names: Vec<_> = missing.iter().map(|tool| tool.name).collect();
    let way_out = manager.map_or_else(
        || "install it and put it on PATH".to_owned(),
        |manager| format!("install with `{}`", manager.install_command(missing)),
    );
    format!("missing: {}; {way_out}", names.join(", "))
}

/// A cargo subcommand of ours in this version, installed in the cache where it is not there.
pub(crate) fn cargo_tool(name: &str, version: &str) -> Result<PathBuf> {
    let cache = cache_dir()?;
    let tools = cache.join("tools");
    let program = tools.join("bin").join(name);
    let _lock = CacheLock::take(&cache)?;
    let found = Run::new(&program).args(["--version"]).output().unwrap_or_default();
    if found.trim_end() != format!("{name} {version}") {
        Run::cargo()
            .args(["install", "--locked", &format!("{name}@{version}"), "--root"])
            .args([&tools])
            // Its build is used once: in cargo's own temporary folder it leaves nothing behind.
            .without_env("CARGO_TARGET_DIR")
            .go_on_stderr()?;
    }
    Ok(program)
}

/// Whether [`install`] may be used: as root on a system with apt, which is what containers and CI
/// machines are. Nobody else's system is changed.
pub(crate) fn can_install() -> bool {
    matches!(Manager::detect(), Some(Manager::Apt)) && is_root()
}

pub(crate) fn is_root() -> bool {
    Run::new("id").args(["-u"]).output().is_ok_and(|id| id.trim() == "0")
}

/// Installs Debian packages.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    eprintln!("installing with apt-get: {}", packages.join(" "));
    let apt = |args: &[&str]| {
        Run::new("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive").output()
    };
    apt(&["update", "--quiet"])?;
    let install = ["install", "--yes", "--quiet", "--no-install-recommends"];
    apt(&[&install[..], packages].concat())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABSENT: Tool = Tool {
        name: "absent",
        probe: &["no-such-program", "--version"],
        apt: &["no-such-package-a", "make"],
        dnf: &["no-such-package-d"],
        brew: &["no-such-package-b"],
    };

    #[test]
    fn only_what_does_not_work_is_missing() {
        let cargo = Tool { name: "cargo", probe: &["cargo", "--version"], ..ABSENT };
        let missing = missing([&cargo, &ABSENT, &ABSENT]);
        assert_eq!(missing.iter().map(|tool| tool.name).collect::<Vec<_>>(), ["absent"]);
    }

    #[test]
    fn everything_missing_is_named_with_one_command() {
        let check = |manager, expect: &str| {
            let said = how_to_install(&[&ABSENT, &C_BUILD[2]], manager);
            assert_eq!(said, format!("missing: absent, make; {expect}"));
        };
        let apt = "install with `sudo apt-get install no-such-package-a make`";
        check(Some(Manager::Apt), apt);
        check(Some(Manager::Dnf), "install with `sudo dnf install no-such-package-d make`");
        check(Some(Manager::Brew), "install with `brew install no-such-package-b make`");
        check(None, "install it and put it on PATH");
    }
}
