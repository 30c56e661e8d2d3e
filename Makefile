# What one can do in this repository; `make` alone lists it.

.PHONY: help run console test bench lint fuzz

help:
	@echo 'make run     build, write a .env with random secrets if there is none, and serve on port 3001'
	@echo 'make console build the web console, for the next build of the program to take along'
	@echo 'make test    every check and test; ends with "N passed, N failed"'
	@echo 'make bench   measure against nginx and write docs/benchmarks.md'
	@echo 'make fuzz    feed the parsers with libFuzzer for FUZZ_SECONDS each (installs cargo-fuzz and a nightly Rust)'
	@echo 'make lint    format, lints, and the licences and advisories of all dependencies'

run: console
	cargo build --release --locked
	scripts/first-environment .env
	exec target/release/gpt-load serve

console:
	scripts/console

test:
	scripts/test

bench:
	scripts/bench

lint:
	scripts/lint

fuzz:
	scripts/fuzz libfuzzer
