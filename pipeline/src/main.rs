//! The binary; see the library for what it does.

fn main() -> std::process::ExitCode {
    volley::cli::main(std::env::args_os())
}
