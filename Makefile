# What a person and continuous integration both do. `make` alone builds; `make help` lists the words.

CARGO ?= cargo
APXS ?= apxs
export APXS

# Absolute: the tests run elsewhere, and httpd wants a whole path. CARGO_TARGET_DIR is honoured.
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
MODULE := $(TARGET)/release/libmod_qos_rs.so
PROGRAMS := $(addprefix $(TARGET)/release/,qosctl qostally qslog)
# Only what is installed is optimised as a whole: the tests' own programs would take minutes to link so.
TEST_CARGO := CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 $(CARGO)
PANIC_MODULE := $(TARGET)/panic-injection/release/libmod_qos_rs.so
CARGO_DENY := $(or $(shell command -v cargo-deny),$(TARGET)/tools/bin/cargo-deny)

# Debian's names for what a build, a run and the tests need beside cargo and gcc.
PACKAGES := gcc libc6-dev apache2 apache2-dev libclang-dev curl openssl iproute2
# What tests alone need: programs of others that read what we write.
TEST_PACKAGES := python3-prometheus-client lynx fail2ban nftables iptables monit

.PHONY: build help deps check deny test engine-tests loom-tests panic-module soak bench demo run install \
	uninstall docs clean

build: deps ## Build target/release/libmod_qos_rs.so, qosctl, qostally and qslog (the default)
	$(CARGO) build --release --locked
	@echo "built $(MODULE) $(PROGRAMS)"

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## Install the Debian packages that are missing (as root or through sudo)
	@scripts/deps.sh $(PACKAGES)

check: deps ## Look at format, lints and, where cargo-deny is installed, licences
	@if $(CARGO) fmt --version >/dev/null 2>&1 && $(CARGO) clippy --version >/dev/null 2>&1; then set -ex; \
		$(CARGO) fmt --all --check; \
		$(CARGO) clippy --workspace --all-targets --locked -- -D warnings; \
	else echo 'skipped: format and lints (rustup component add rustfmt clippy)'; fi
	@if [ -x '$(CARGO_DENY)' ]; then '$(CARGO_DENY)' check licenses bans sources; \
	else echo "skipped: licences, bans and sources of dependencies ('make deny' installs cargo-deny)"; fi

deny: $(CARGO_DENY) ## Look at licences, duplicates and sources of dependencies; installs cargo-deny
	'$(CARGO_DENY)' check licenses bans sources

# Kept out of the user's own ~/.cargo/bin; a cargo-deny that is installed there is used first.
$(TARGET)/tools/bin/cargo-deny:
	$(CARGO) install cargo-deny --locked --root '$(TARGET)/tools' --target-dir '$(TARGET)/tools/build'
	rm -rf '$(TARGET)/tools/build'

test: build panic-module check engine-tests loom-tests ## Run everything that must be green (some minutes)
	@scripts/deps.sh $(TEST_PACKAGES)
	@scripts/deps.sh chromium || echo 'skipped: the status page in a browser (there is no chromium)'
	MOD_QOS_RS_SO='$(MODULE)' MOD_QOS_RS_PANIC_SO='$(PANIC_MODULE)' \
		scripts/test.sh env $(TEST_CARGO) test --release --locked

# A module whose callbacks panic when they are told to: the tests see that httpd outlives it.
panic-module: deps
	$(TEST_CARGO) build --release --locked -p mod_qos_rs --features panic-injection --target-dir '$(TARGET)/panic-injection'

engine-tests:
	$(TEST_CARGO) test --release --locked -p qos-engine

# Every interleaving of the lock-free routines. Another cfg is another build, hence the directory.
loom-tests:
	RUSTFLAGS='--cfg loom' $(TEST_CARGO) test --release --locked -p qos-engine --test loom \
		--target-dir '$(TARGET)/loom'

soak: build panic-module ## Run the long storms: kills and restarts under load
	MOD_QOS_SOAK=1 MOD_QOS_RS_SO='$(MODULE)' MOD_QOS_RS_PANIC_SO='$(PANIC_MODULE)' \
		$(TEST_CARGO) test --release --locked --test server soak -- --nocapture --test-threads=1

bench: build ## Measure speed and memory, beside no module and the C module
	@scripts/deps.sh valgrind
	python3 benches/run.py --module '$(MODULE)'

demo: build ## Attack a server with slowhttptest, without and with the module (MPM=event|worker|prefork|all)
	@scripts/deps.sh slowhttptest
	python3 benches/demo.py --module '$(MODULE)'

run: build ## Start a private httpd on loopback, in the foreground (PORT=8080 MPM=event)
	@scripts/run.sh '$(MODULE)'

# Builds nothing: root, who installs, often has no cargo.
install: ## Install what was built, through apxs, with Debian's files (as root; DESTDIR=dir, PREFIX=/usr/local)
	@scripts/install.sh '$(MODULE)' $(foreach program,$(PROGRAMS),'$(program)')

uninstall: ## Remove what install has installed (as root)
	@scripts/uninstall.sh

docs: ## Write the reference, the man pages and the completions in docs/ from the tables in the code
	$(CARGO) run --quiet --locked -p qos-engine --example reference
	$(CARGO) run --quiet --locked -p qos-tools --example pages

clean: ## Remove everything that was built
	$(CARGO) clean
