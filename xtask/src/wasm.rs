//! Building for the browser, with whatever Rust for wasm32 can be had.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::run::{self, Run, workspace_root};
use crate::tools;

const TARGET: &str = "wasm32-unknown-unknown";
/// Debian's Rust: newer than its `rustc`, and with the standard library's source.
const DEBIAN_RUST: [&str; 2] = ["rustc-web", "rust-web-src"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// zstd is C; cc-rs asks these for wasm32 where they are set.
const CC_VARIABLE: &str = "CC_wasm32_unknown_unknown";

const C_FLAGS_VARIABLE: &str = "CFLAGS_wasm32_unknown_unknown";
/// Of zstd's two decoders of Huffman codes and of sequences the smaller; `ZSTD_HEADER` leaves out what
/// is never asked for.
const C_FLAGS: &str = "-DHUF_FORCE_DECOMPRESS_X1 -DZSTD_FORCE_DECOMPRESS_SEQUENCES_SHORT";
/// Included before each source of zstd. Cargo does not see a change of it: `cargo clean --package
/// zstd-sys --profile wasm` does.
const ZSTD_HEADER: &str = "wasm-viewer/zstd.h";
/// Lets `CFLAGS` quote a path.
const C_QUOTES_VARIABLE: &str = "CC_SHELL_ESCAPED_FLAGS";

/// The Rust that compiles for wasm32.
#[derive(Debug)]
enum Toolchain {
    /// The one that builds everything else, with its prebuilt standard library.
    Ordinary,
    /// A distribution's compiler, which builds the standard library from source.
    FromSource,
}

/// Builds `volley-core` and `volley-viewer` for wasm32 with the `wasm` profile. Returns the module.
///
/// # Errors
/// When no Rust for wasm32 or no clang can be had (says what to install), or the build fails.
pub(crate) fn build() -> Result<PathBuf> {
    let clang = clang()?;
    let toolchain = toolchain()?;
    let root = workspace_root();
    let target_folder = target_folder(&root)?;
    let mut build = Run::cargo()
        .args(["build", "--profile", "wasm", "--target", TARGET])
        .args(["--package", "volley-core", "--package", "volley-viewer"])
        .env(CC_VARIABLE, clang)
        .env(C_FLAGS_VARIABLE, format!("{C_FLAGS} -include '{}'", root.join(ZSTD_HEADER).display()))
        .env(C_QUOTES_VARIABLE, "1")
        .dir(&root);
    let target_folder = match toolchain {
        Toolchain::Ordinary => target_folder,
        Toolchain::FromSource => {
            // Its own: two compilers in one folder would rebuild each other's work.
            let own = target_folder.join("wasm-from-source");
            build = build
                .args(["-Z", "build-std=std,panic_abort"])
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_DIR", &own)
                .env("PATH", path_with_linker()?);
            own
        }
    };
    build.go_on_stderr()?;

    let module = target_folder.join(TARGET).join("wasm/volley_viewer.wasm");
    let metadata =
        fs::metadata(&module).with_context(|| format!("no {} was built", module.display()))?;
    eprintln!("wasm: {} is {} bytes", module.display(), metadata.len());
    Ok(module)
}

fn toolchain() -> Result<Toolchain> {
    if sysroot()?.join("lib/rustlib").join(TARGET).is_dir() {
        return Ok(Toolchain::Ordinary);
    }
    eprintln!("wasm: rustup target add {TARGET}");
    let rustup = Run::new("rustup").args(["target", "add", TARGET]).env("RUST_BACKTRACE", "0");
    match rustup.output() {
        Ok(_) => return Ok(Toolchain::Ordinary),
        Err(error) => eprintln!("wasm: {error:#}"),
    }
    let is_there = || Path::new("/usr/lib/rustlib/src/rust/library/std").is_dir();
    if !is_there() && tools::can_install() {
        tools::install(&DEBIAN_RUST)?;
    }
    if !is_there() {
        bail!(
            "no Rust for {TARGET}: `rustup target add {TARGET}` failed; on Debian, `sudo apt-get \
             install {}` will do",
            DEBIAN_RUST.join(" ")
        );
    }
    eprintln!("wasm: using {DEBIAN_RUSTC} and building the standard library from source");
    Ok(Toolchain::FromSource)
}

fn sysroot() -> Result<PathBuf> {
    let rustc = run::variable("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed = Run::new(rustc).args(["--print", "sysroot"]).output()?;
    Ok(printed.trim_end().into())
}

/// `PATH` and the folder of rustup's `rust-lld`, which Debian's rustc links with but lacks.
fn path_with_linker() -> Result<OsString> {
    let rustlib = sysroot()?.join("lib/rustlib");
    let hosts = fs::read_dir(&rustlib).into_iter().flatten().flatten();
    let folders = hosts.map(|host| host.path().join("bin"));
    let linker = folders.into_iter().find(|folder| folder.join("rust-lld").is_file());
    let linker = linker.with_context(|| format!("no rust-lld under {}", rustlib.display()))?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::env::split_paths(&path).chain([linker])).context("PATH is malformed")
}

/// A clang that knows wasm32: Apple's does not, Homebrew's is not on `PATH`.
fn clang() -> Result<OsString> {
    if let Some(chosen) = run::variable(CC_VARIABLE) {
        return Ok(chosen);
    }
    let found = || {
        ["clang", "/opt/homebrew/opt/llvm/bin/clang", "/usr/local/opt/llvm/bin/clang"]
            .into_iter()
            .find(|clang| knows_wasm32(clang))
    };
    if found().is_none() {
        tools::need([&tools::CLANG])?;
    }
    found().map(OsString::from).with_context(|| {
        format!("clang has no wasm32 target: set {CC_VARIABLE} to one that has (LLVM's own does)")
    })
}

fn knows_wasm32(clang: &str) -> bool {
    Run::new(clang)
        .args(["--print-targets"])
        .output()
        .is_ok_and(|targets| targets.lines().any(|line| line.trim_start().starts_with("wasm32 ")))
}

/// Where cargo builds, asked of cargo: variables and configuration files have a say in it.
pub(crate) fn target_folder(root: &Path) -> Result<PathBuf> {
    let metadata =
        Run::cargo().args(["metadata", "--no-deps", "--format-version", "1"]).dir(root).output()?;
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
    let folder = metadata["target_directory"].as_str();
    folder.map(PathBuf::from).context("cargo metadata names no target_directory")
}
