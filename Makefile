# The few commands that a person needs; `make help` lists them. Meson does the work.
.DEFAULT_GOAL := help
.PHONY: help build run test quick-test sim kill soak fuzz bench install format clean

BUILD ?= build
PREFIX ?= /usr/local

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

build: ## install what is missing, leave build/posternd and build/posternctl
	@scripts/deps build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) -Dtests=false --buildtype=debugoptimized >/dev/null
	@ninja -C $(BUILD)

install: build ## put it on this machine: make install PREFIX=/usr [DESTDIR=/tmp/stage]
	@meson configure $(BUILD) -Dprefix=$(abspath $(PREFIX)) >/dev/null
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --quiet
	@echo "installed below $(DESTDIR)$(PREFIX); the start file is $(DESTDIR)/etc/postern/postern.yaml"

run: build ## start posternd on loopback, send sample mail through it, show what became of it
	@scripts/demo $(BUILD)

test: ## install what is missing, build, run all tests (what CI runs)
	@scripts/deps test
	@scripts/test

quick-test: ## only the unit tests, sanitized
	@scripts/deps test
	@scripts/test unit

sim: ## run the simulator on fresh seeds: make sim SEEDS=1000
	@scripts/deps test
	@scripts/test sim $(or $(SEEDS),200)

kill: ## real kill -9 rounds under load: make kill ROUNDS=200
	@scripts/deps test
	@scripts/test kill $(or $(ROUNDS),50)

soak: ## play many more random lives of spool and queue: make soak SEEDS=5000
	@scripts/deps test
	@scripts/test soak $(or $(SEEDS),1000)

fuzz: ## run every fuzzer longer: make fuzz SECONDS_EACH=600
	@scripts/deps test
	@scripts/test fuzz $(or $(SECONDS_EACH),300)

bench: build ## measure against Postfix, Exim, OpenSMTPD and the physical limit: make bench ARGS=--help
	@scripts/deps bench
	@bench/run $(ARGS)

format: ## clang-format on everything
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean: ## remove what was built
	rm -rf build build-*
