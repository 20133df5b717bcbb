# rawstatus: what to type. Needs Go, git and make; `make ci` installs the rest of what its tests use.
.DEFAULT_GOAL := help

GO       ?= go
PACKAGES ?= ./...
FUZZTIME ?= 10000x
# The tag, or where there is none the release that the source is for and the commit.
VERSION  ?= $(or $(shell git describe --tags --dirty 2>/dev/null),$(shell sed -n 's/^const Release = "\(.*\)"/\1/p' internal/version/version.go)$(shell git describe --always --dirty=.dirty 2>/dev/null | sed 's/^/+/'))
LDFLAGS  := -X rawstatus/internal/version.stamped=$(VERSION)
TOOLS    := $(GO) tool -modfile=.ci/tools/go.mod

PREFIX   ?= /usr/local
DESTDIR  ?=
DIST     := rawstatus-$(VERSION)-$(shell $(GO) env GOOS)-$(shell $(GO) env GOARCH)

include .ci/slurm/slurm.mk

.PHONY: help build install dist test race demo lint imports bench ladder gen gen-check fuzz-smoke cross ci clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Static: the same file runs on every node, whatever its C library. Groups that only a directory service knows are
# asked of getent.
build: ## bin/rawstatus and bin/mergedeploy
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

install: build ## programs, man pages, completion, job scripts and example site files below PREFIX (/usr/local)
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/share/rawstatus/slurm' '$(DESTDIR)$(PREFIX)/share/rawstatus/site' '$(DESTDIR)$(PREFIX)/share/rawstatus/arp' \
		'$(DESTDIR)$(PREFIX)/share/bash-completion/completions' '$(DESTDIR)$(PREFIX)/share/zsh/site-functions' '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d'
	install -m 755 bin/rawstatus bin/mergedeploy '$(DESTDIR)$(PREFIX)/bin'
	install -m 644 jobs/slurm/*.sbatch '$(DESTDIR)$(PREFIX)/share/rawstatus/slurm'
	install -m 755 jobs/arp/*.sh '$(DESTDIR)$(PREFIX)/share/rawstatus/arp'
	install -m 644 docs/site/*.toml '$(DESTDIR)$(PREFIX)/share/rawstatus/site'
	for program in rawstatus mergedeploy; do \
		bin/$$program man '$(DESTDIR)$(PREFIX)/share/man/man1' && \
		bin/$$program completion bash > '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/'$$program && \
		bin/$$program completion zsh > '$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_'$$program && \
		bin/$$program completion fish > '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/'$$program.fish || exit 1; done

dist: ## scratch/dist/rawstatus-<version>-<system>.tar.gz: what install installs
	rm -rf 'scratch/dist/$(DIST)'
	$(MAKE) --no-print-directory install DESTDIR= PREFIX='$(CURDIR)/scratch/dist/$(DIST)'
	tar --sort=name --owner=0 --group=0 --numeric-owner --mtime='1980-01-01 00:00Z' -C scratch/dist -c '$(DIST)' | gzip -n > 'scratch/dist/$(DIST).tar.gz'
	@echo 'scratch/dist/$(DIST).tar.gz'

test: ## all tests; those that need more than Go say so and are skipped
	$(GO) test $(PACKAGES)

race: ## all tests with the race detector
	$(GO) test -race $(PACKAGES)

demo: build ## simulate a run with known bad pixels, find them, deploy the result: see scratch/demo
	bin/rawstatus demo --work scratch/demo

# Packages for tests, and the functions of others by which tests look inside or put something in its place.
FOR_TESTS := ^internal/(testenv|lint)/|/[a-z]+test/|: (Program[.]Unchecked|Pool[.]Mapped|WithSystem)$$

lint: imports ## format, vet, staticcheck, functions that nothing calls, tidy modules, import rule
	@unformatted=$$(gofmt -l $$(git ls-files -c -o --exclude-standard '*.go')); \
	if [ -n "$$unformatted" ]; then echo "gofmt -w these files:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet $(PACKAGES)
	$(TOOLS) staticcheck $(PACKAGES)
	@dead=$$($(TOOLS) deadcode -test $(PACKAGES)) || exit 1; \
	if [ -n "$$dead" ]; then echo "nothing calls these functions, not even a test; delete them:"; echo "$$dead"; exit 1; fi
	@dead=$$($(TOOLS) deadcode $(PACKAGES) | grep -vE '$(FOR_TESTS)'); \
	if [ -n "$$dead" ]; then echo "only tests call these functions; move them to the tests, or delete them:"; echo "$$dead"; exit 1; fi
	$(GO) mod tidy -diff
	$(GO) mod verify

imports: ## the import rule of internal/lint
	$(GO) test -count=1 ./internal/lint

bench: ## measures this machine and us: table on the screen and scratch/bench/results.json; BENCHFLAGS='--size 2GiB --reps 3'
	$(GO) run ./bench run --json scratch/bench/results.json $(BENCHFLAGS)

ladder: ## tests of the arithmetic with each level of the processor switched off
	for off in cpu.avx512f=off cpu.avx2=off cpu.avx2=off,cpu.avx512f=off; do \
		echo "GODEBUG=$$off"; $(GO) test -exec "env GODEBUG=$$off" -count=1 -short ./internal/stats/... ./internal/shard/reduce || exit 1; done

gen: ## what is generated: assembly of the kernels, byte tables in docs/formats.md
	$(GO) generate $(PACKAGES)
	$(GO) test ./internal/lint -run 'TestFormats$$' -update

gen-check: gen ## generated files are those of their generators
	@changed=$$(git grep -lE '^// Code generated .* DO NOT EDIT' -- '*.go' '*.s' | xargs -r git status --porcelain --); \
	if [ -n "$$changed" ]; then echo "commit what the generators wrote:"; echo "$$changed"; exit 1; fi

fuzz-smoke: ## each fuzz target on FUZZTIME inputs (default 10000x)
	.ci/fuzz-smoke $(FUZZTIME)

cross: ## builds and vets for arm64 and without assembly
	GOARCH=arm64 $(GO) vet $(PACKAGES)
	$(GO) vet -tags noasm $(PACKAGES)

ci: ## everything that continuous integration does (installs Debian packages when root)
	.ci/run

clean: ## what the build and the demo leave behind
	rm -rf bin scratch
