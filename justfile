# A thin front door: every recipe is one call of `cargo xtask`, where the work is done.

# List the recipes
default:
    @just --list --unsorted

# Run the whole pipeline on embedded servers; ARGS go to `volley demo`
[group('try')]
demo *ARGS:
    cargo xtask demo {{ ARGS }}

# Run Apache Kafka, plain and secured, until Ctrl-C; ARGS such as `--brokers 3`
[group('try')]
kafka *ARGS:
    cargo xtask kafka {{ ARGS }}

# Build target/release/volley, with the inspector's page inside
[group('try')]
build:
    cargo xtask build

# Fetch what the other recipes need; quick when it is there
[group('try')]
setup:
    cargo xtask setup

# Run every test; ARGS go to `cargo test`
[group('check')]
test *ARGS:
    cargo xtask test {{ ARGS }}

# Run the end-to-end suite in containers, on images made here; ARGS go to `cargo test`
[group('check')]
standin *ARGS:
    cargo xtask standin {{ ARGS }}

# Test the browser inspector in Chromium
[group('check')]
viewer-test *ARGS:
    cargo xtask viewer-test {{ ARGS }}

# Check formatting, clippy and the documentation
[group('check')]
lint:
    cargo xtask lint

# Check the licences, duplicates and sources of all dependencies
[group('check')]
deny *ARGS:
    cargo xtask deny {{ ARGS }}

# Damage payloads in every way, and print what became of it
[group('check')]
mutate:
    cargo xtask mutate

# Feed random bytes to the readers of untrusted bytes; ARGS: a target, --minutes N
[group('check')]
fuzz *ARGS:
    cargo xtask fuzz {{ ARGS }}

# Everything that must pass before a change lands
[group('check')]
ci:
    cargo xtask ci

# Build for the browser
[group('build')]
wasm:
    cargo xtask wasm

# Build the browser inspector; ARGS go to `cargo xtask viewer`
[group('build')]
viewer *ARGS:
    cargo xtask viewer {{ ARGS }}

# Run the benchmarks; ARGS go to `cargo bench`
[group('build')]
bench *ARGS:
    cargo xtask bench {{ ARGS }}

# Remove everything that cargo built
[group('build')]
clean:
    cargo clean
