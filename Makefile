# authkv. `make` alone lists the targets.

SHELL := /bin/sh
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
VENV := .venv
# The Tarantool to use: a path. Without it, the one on PATH.
TARANTOOL ?=
ifneq ($(TARANTOOL),)
export PATH := $(shell mkdir -p target/path && ln -sfn '$(abspath $(TARANTOOL))' target/path/tarantool && cd target/path && pwd):$(PATH)
endif
# Packages of their own: what they need is not the library's.
BENCH := --manifest-path test/bench/Cargo.toml --target-dir target/bench
CHECK := --manifest-path test/check/Cargo.toml --target-dir target/check
FUZZ := --fuzz-dir test/fuzz --target-dir target/fuzz --sanitizer none
FUZZ_SECONDS := 600
# Criterion looks for the directory in the environment, not at --target-dir.
MICRO := CARGO_TARGET_DIR=$(CURDIR)/target/micro cargo bench --locked --manifest-path test/micro/Cargo.toml
# Of `make micro`: a part of a name.
MICRO_ARGUMENTS :=
# Of `make profile`: --seconds N --connections N.
PROFILE_ARGUMENTS :=
# Of `make model`: --cases N --seed S --mvcc 1; of `make linearize`: --histories N --kills K --seed S --mvcc 1.
CHECK_ARGUMENTS :=
# Of `make test-crash`: --kills N --seed S --mvcc 1.
CRASH_ARGUMENTS :=
# Of `make test-replication`: how many starts with random delays.
STARTS := 100
# Of its faults: --kills N --pauses N --cuts N --seed S --mvcc 1. The namespaces in which members are cut off need root.
REPLICATION_ARGUMENTS :=
# Of `make test-power`: --cuts N --modes write,fsync --clients N --seed S; all of them with --help.
POWER_ARGUMENTS :=
# Of `make bench`: --only read,write --rounds N --seconds N --against DIR; all of them with --help.
BENCH_ARGUMENTS :=
LIBRARY := target/release/libauthkv.so
# Of `make install`, as other programs have them. MODULEDIR gets the library, LUADIR the role of Tarantool 3, DATADIR what
# starts an instance.
PREFIX ?= /usr/local
DESTDIR ?=
MODULEDIR ?= $(PREFIX)/lib/tarantool
LUADIR ?= $(PREFIX)/share/tarantool
DATADIR ?= $(PREFIX)/share/authkv
# A clone of github.com/RustSec/advisory-db to take the advisories from, instead of GitHub.
ADVISORY_DB :=
AUDITED := . test/bench test/check test/fuzz test/micro

# installs PROGRAM PACKAGE...: installs Debian's packages where a program is missing.
installs = command -v $(1) >/dev/null || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -qy $(2); }

.PHONY: help build run install uninstall deb bench micro profile test test-long lint unit tables fuzz-smoke fuzz integration \
	test-faults test-crash test-replication test-power test-packages check-smoke model linearize audit clean FORCE

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

build: $(LIBRARY) ## build the library in release

# Cargo knows what is out of date.
$(LIBRARY): FORCE
	@$(call installs,cc,build-essential)
	cargo build --release --locked

run: build ## install Tarantool where it is missing, build, and start an instance in ./var
	@$(call installs,tarantool,tarantool)
	exec tarantool init.lua

# Builds nothing: root, who installs, may have no cargo.
install: ## install what `make build` has built, below DESTDIR and PREFIX (/usr/local)
	@test -f $(LIBRARY) || { echo 'There is no $(LIBRARY): run make build first' >&2; exit 1; }
	install -d '$(DESTDIR)$(MODULEDIR)' '$(DESTDIR)$(LUADIR)/roles' '$(DESTDIR)$(DATADIR)/tarantool_infra/layouts'
	install -m 644 $(LIBRARY) '$(DESTDIR)$(MODULEDIR)/authkv.so'
	install -m 644 tarantool_infra/roles/authkv.lua '$(DESTDIR)$(LUADIR)/roles'
	install -m 644 init.lua backup.lua '$(DESTDIR)$(DATADIR)'
	install -m 644 tarantool_infra/layouts/*.lua '$(DESTDIR)$(DATADIR)/tarantool_infra/layouts'

uninstall: ## remove what `make install` has installed
	rm -f '$(DESTDIR)$(MODULEDIR)/authkv.so' '$(DESTDIR)$(LUADIR)/roles/authkv.lua'
	rm -rf '$(DESTDIR)$(DATADIR)'

deb: build ## a package for Debian in target/debian
	cargo deb --version >/dev/null 2>&1 || cargo install --locked cargo-deb
	cargo deb --locked --no-build --strip

test: lint unit fuzz-smoke check-smoke integration ## everything CI runs

# What is compared with authkv is left out where it cannot be installed.
bench: build ## measure against other servers on this machine, as ratios
	@$(call installs,tarantool,tarantool)
	@$(call installs,wrk,wrk)
	-@$(call installs,redis-server,redis-server)
	-@$(call installs,webdis,webdis)
	-@$(call installs,etcd,etcd-server)
	cargo run --release --locked $(BENCH) -- $(BENCH_ARGUMENTS)

micro: ## measure the parts of a request alone, in a minute; the next run tells what has changed
	@$(call installs,cc,build-essential)
	$(MICRO) -- $(MICRO_ARGUMENTS)

profile: build $(VENV)/installed target/tools/bin/inferno-flamegraph ## flame graphs of tx and of the HTTP workers under load, into target/profile
	@$(call installs,tarantool,tarantool)
	@$(call installs,wrk,wrk)
	@$(call installs,perf,linux-perf)
	PYTHONPATH=test $(VENV)/bin/python -m tools.flame $(PROFILE_ARGUMENTS)

target/tools/bin/inferno-flamegraph:
	cargo install --locked --root target/tools --no-default-features --features cli inferno

lint: $(VENV)/installed ## format, clippy, luacheck, ruff, and which module may name what
	@$(call installs,cc,build-essential)
	@$(call installs,luacheck,lua-check)
	cargo fmt --all --check
	cargo fmt --check --manifest-path test/bench/Cargo.toml
	cargo fmt --check --manifest-path test/check/Cargo.toml
	cargo fmt --check --manifest-path test/fuzz/Cargo.toml
	cargo fmt --check --manifest-path test/micro/Cargo.toml
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --all-targets --locked $(BENCH) -- -D warnings
	cargo clippy --all-targets --locked $(CHECK) -- -D warnings
	cargo clippy --locked --manifest-path test/fuzz/Cargo.toml --target-dir target --no-default-features -- -D warnings
	cargo clippy --all-targets --locked --manifest-path test/micro/Cargo.toml --target-dir target -- -D warnings
	luacheck -q .
	$(VENV)/bin/ruff format --check test
	$(VENV)/bin/ruff check test
	test/check-layers

unit: ## the tests that need no Tarantool
	@$(call installs,openssl,openssl)
	cargo test --workspace --locked
	cargo test --locked $(BENCH)
	cargo test --locked $(CHECK)

tables: ## write the tables of the documentation that are made from lists in the code
	cargo test --locked documentation::write_the_tables -- --ignored

fuzz-smoke: ## each fuzz target for ten seconds
	@$(call installs,c++,build-essential)
	test/fuzz/smoke

fuzz: ## fuzz each target for FUZZ_SECONDS, 600 unless told otherwise
	@$(call installs,c++,build-essential)
	cargo fuzz --version 2>/dev/null || cargo install --locked cargo-fuzz
	for target in $$(cargo fuzz list --fuzz-dir test/fuzz); do \
		mkdir -p target/fuzz/found/$$target && \
		cargo fuzz run $(FUZZ) $$target target/fuzz/found/$$target test/fuzz/corpus/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 || exit; \
	done

# The tests of a proxy that cannot be installed are skipped. Debian starts these as services, which the tests do not use.
integration: build $(VENV)/installed postman_tests/node_modules test/npm/node_modules ## the tests against real Tarantool processes
	@$(call installs,tarantool,tarantool)
	@$(call installs,curl,curl)
	@$(call installs,chromedriver,chromium chromium-driver)
	@$(call installs,faketime,faketime)
	@$(call installs,java,default-jre-headless)
	@ruby -r jwt -e '' 2>/dev/null || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -qy ruby ruby-jwt; }
	-@$(call installs,promtool,prometheus)
	-@$(call installs,nginx,nginx)
	-@$(call installs,haproxy,haproxy)
	-@$(call installs,caddy,caddy)
	$(VENV)/bin/python -m pytest test -q -n 3 --dist loadfile

test-long: build $(VENV)/installed ## what takes long: a hundred restarts of each kind
	AUTHKV_TEST_RESTARTS=100 $(VENV)/bin/python -m pytest test/operations/test_restart_memory.py -q

test-faults: build $(VENV)/installed ## what a machine can do to a database that runs, for some minutes
	@$(call installs,tarantool,tarantool)
	@$(call installs,faketime,faketime)
	AUTHKV_TEST_FAULTS=long $(VENV)/bin/python -m pytest test/operations/test_faults.py test/operations/test_full_disk.py test/operations/test_clock.py -q

# Needs root, and Debian's packages: installs, upgrades and purges the package in a Debian of its own.
test-packages: build $(VENV)/installed ## the packages: built, looked at by lintian, installed, started, upgraded, removed
	@$(call installs,tarantool,tarantool)
	@$(call installs,debootstrap,debootstrap)
	@$(call installs,lintian,lintian)
	@$(call installs,systemd-analyze,systemd)
	@$(call installs,systemd-nspawn,systemd-container)
	cargo deb --version >/dev/null 2>&1 || cargo install --locked cargo-deb
	AUTHKV_TEST_PACKAGES=1 $(VENV)/bin/python -m pytest test/operations/test_packages.py test/operations/test_debian.py -q -rs

check-smoke: build ## the key-value store against its model, and linearizability, a little of each
	@$(call installs,tarantool,tarantool)
	cargo run --locked $(CHECK) --bin model -- --cases 200
	cargo run --locked $(CHECK) --bin linearize -- --histories 30 --kills 10

model: build ## 10,000 random sequences of commands against a model of the key-value store
	@$(call installs,tarantool,tarantool)
	cargo run --release --locked $(CHECK) --bin model -- $(CHECK_ARGUMENTS)

linearize: build ## whether 1000 histories of concurrent clients are linearizable, with kill -9 in some
	@$(call installs,tarantool,tarantool)
	cargo run --release --locked $(CHECK) --bin linearize -- $(CHECK_ARGUMENTS)

test-crash: build $(VENV)/installed ## 200 times kill -9 under mixed load: nothing that was acknowledged is lost
	@$(call installs,tarantool,tarantool)
	cd test && ../$(VENV)/bin/python -m tools.crash $(CRASH_ARGUMENTS)

test-replication: build $(VENV)/installed ## start a replica set 100 times; kill its leader 50 times under load, pause and cut it off 20 times each
	@$(call installs,tarantool,tarantool)
	@$(call installs,ip,iproute2)
	@$(call installs,nft,nftables)
	cargo build --locked $(CHECK) --bin recorded
	AUTHKV_TEST_STARTS=$(STARTS) $(VENV)/bin/python -m pytest -q test/cluster/test_replica_set_start.py test/cluster/test_replica_set.py
	cd test && for mode in synchronous asynchronous; do \
		$(SUDO) env "PATH=$$PATH" ../$(VENV)/bin/python -m tools.replication --mode $$mode $(REPLICATION_ARGUMENTS) || exit; \
	done

# Mounts disk images, and so runs as root.
test-power: build $(VENV)/installed ## lose the power of a machine 20 times in each WAL_MODE, and count what is lost
	@$(call installs,mkfs.ext4,e2fsprogs)
	@$(call installs,mkfs.xfs,xfsprogs)
	cd test && $(SUDO) env "PATH=$$PATH" ../$(VENV)/bin/python -m tools.power $(POWER_ARGUMENTS)

$(VENV)/installed: test/requirements.txt
	@python3 -c 'import ensurepip' 2>/dev/null || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -qy python3-venv; }
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install -q -r test/requirements.txt
	touch $@

postman_tests/node_modules test/npm/node_modules: %/node_modules: %/package-lock.json
	@$(call installs,npm,npm)
	cd $* && npm ci --no-audit --no-fund
	touch $@

# The licenses that are allowed are those of the library; the other packages have some of them.
audit: ## check dependencies: advisories, licenses, sources
	@$(call installs,cc,build-essential)
	cargo deny --version 2>/dev/null || cargo install --locked cargo-deny
	cargo audit --version 2>/dev/null || cargo install --locked cargo-audit
	$(if $(ADVISORY_DB),git -C $(ADVISORY_DB) log -1 --format='advisories of %cs (%h)')
	for package in $(AUDITED); do \
		$(if $(ADVISORY_DB),GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=url.$(abspath $(ADVISORY_DB)).insteadOf \
			GIT_CONFIG_VALUE_0=https://github.com/RustSec/advisory-db) \
		cargo deny --locked --manifest-path $$package/Cargo.toml --config deny.toml check \
			--allow license-exception-not-encountered \
			$$([ $$package = . ] || echo --allow license-not-encountered --allow advisory-not-detected) || exit; \
		cargo audit --file $$package/Cargo.lock \
			$(if $(ADVISORY_DB),--db $(abspath $(ADVISORY_DB)) --no-fetch --stale) || exit; \
	done

clean: ## remove what was built, not the data
	cargo clean
	rm -rf $(VENV) postman_tests/node_modules test/npm/node_modules
