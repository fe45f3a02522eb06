# Builds, tests and shows kelson. Every target installs what it needs; run as root (containers, network namespaces).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TARGET  := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
RELEASE := target/$(TARGET)/release/kelson

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

deps: ## install what building needs
	@deploy/install-deps build

test-deps: deps
	@deploy/install-deps test

build: deps ## the release binary: one static file
	cargo build --release --locked --bin kelson
	@ls -lh $(RELEASE) | awk '{print "built " $$NF " (" $$5 ")"}'

demo: build ## start a cluster in a network namespace of its own and show it; Ctrl-C leaves nothing behind
	@deploy/install-deps demo
	@examples/hello/demo $(RELEASE)

lint: deps ## formatting and clippy, as CI sees them
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

test: lint test-deps ## every test: unit, property, packets between namespaces, real kubectl against real pods
	cargo test --workspace --locked

bpf: ## compile io/sockets/bpf/connect.c again, with clang 14, into the object that is committed beside it
	@io/sockets/bpf/build

bench: build ## the figures of bench/RESULTS.md, beside Debian's unbound, knot, nginx and haproxy
	@deploy/install-deps bench
	@bench/run $(RELEASE)

fuzz: deps ## every parser of foreign bytes under libFuzzer, FUZZ_SECONDS each (60)
	@deploy/install-deps fuzz
	@fuzz/run

clean: ## remove what was built
	cargo clean

.PHONY: help deps test-deps build demo lint test bpf bench fuzz clean
