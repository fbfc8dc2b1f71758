# Everything a person does with this repository. `make` lists it.

BUILD       := build
BINARY      := $(BUILD)/twentygate
FUZZTIME    ?= 30s
FUZZ        ?= .
MUTANTS     ?= .
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
CYCLONEDX   := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
ACTIONLINT  := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
SOAK        ?= 10m

# As Caddy's own releases are built: without database drivers that only its
# certificate authority could use.
TAGS        := nobadger,nomysql,nopgx
# Only where somebody says so, as the Dockerfile does, and never what happens to be in
# the environment: `make build VERSION=v1.2.3`. Else Go takes it from the repository.
STAMP       := $(if $(filter command,$(origin VERSION)),$(VERSION))
PLATFORMS   ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64

.PHONY: help build run test lint unit integration tools fuzz mutate bench bench-try bench-binary microbench soak sbom release release-binary fmt clean
help: ## list these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

build: ## build the binary (the first time compiles Caddy, which takes minutes)
	CGO_ENABLED=0 go build -tags $(TAGS) -trimpath -ldflags='$(STAMP:%=-X main.version=%)' -o $(BINARY) ./cmd/twentygate

release-binary: # what releases and the image hold
	CGO_ENABLED=0 go build -tags $(TAGS) -trimpath -buildvcs=auto -ldflags='-s -w $(STAMP:%=-X main.version=%)' -o '$(OUT)' ./cmd/twentygate

run: build ## build, post a genuine and a forged delivery, and go on serving
	@scripts/run.sh $(BINARY)

test: tools lint unit integration bench-try ## install what the tests lack, and run them all

tools: ## install what the tests need and this machine lacks
	@scripts/install-test-tools.sh
	cd integration/node && npm ci --no-audit --no-fund
	cd integration/receivers/apps && npm ci --no-audit --no-fund
	cd integration/bench/subjects/express && npm ci --no-audit --no-fund

lint: ## gofmt, vet, staticcheck, the workflows, and whether all modules are what go.sum says
	@unformatted=$$(gofmt -l caddymodule cmd integration scripts); \
	if [ -n "$$unformatted" ]; then echo "not gofmt-clean: $$unformatted"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...
	cd integration && go vet ./... && go run $(STATICCHECK) ./...
	cd integration/bench && go vet ./... && go run $(STATICCHECK) ./...
	go run $(ACTIONLINT) -shellcheck= -pyflakes= .github/workflows/*.yml
	go mod verify
	cd integration && go mod verify

unit: ## the tests beside the code, under the race detector
	go test -race ./...

integration: build ## the black-box tests against the built binary
	cd integration && TWENTYGATE_BINARY=$(CURDIR)/$(BINARY) go test -race -count=1 -timeout 40m ./...

fuzz: ## run each fuzz target for FUZZTIME; FUZZ=<pattern> chooses some
	@scripts/fuzz.sh $(FUZZTIME) '$(FUZZ)'

mutate: ## break the checks one at a time: the unit tests must notice; MUTANTS=<pattern>
	cd integration && go run ./mutation -only '$(MUTANTS)'

bench: build tools bench-binary ## the gate under load beside plain reverse_proxy, nginx and Express; a quiet machine, please
	$(BUILD)/bench -binary $(BINARY) -picture $(BUILD)/bench.svg

bench-try: build bench-binary # once through everything, with hardly any load
	$(BUILD)/bench -binary $(BINARY) -rounds 1 -share 0.01 >$(BUILD)/bench-try.txt

bench-binary:
	cd integration/bench && go build -o $(CURDIR)/$(BUILD)/bench .

microbench: ## the benchmarks beside the code
	go test -run '^$$' -bench . -benchmem ./caddymodule/...

soak: build ## a soak of SOAK=10m, the attacks for longer, a build from nothing: what `make test` does in short
	cd integration && TWENTYGATE_SOAK=$(SOAK) TWENTYGATE_BINARY=$(CURDIR)/$(BINARY) \
		go test -v -count=1 -timeout 90m -run 'TestSoak|TestAttacks|TestBuildIsReproducible' .

sbom: ## what is in the binary, as CycloneDX, in build/sbom.json
	@mkdir -p $(BUILD)
	go run $(CYCLONEDX) app -json -licenses -output $(BUILD)/sbom.json -main cmd/twentygate .

release: ## archives, SBOMs and checksums of the commit in build/release; PLATFORMS=<os/arch ...>
	@CYCLONEDX=$(CYCLONEDX) VERSION='$(STAMP)' scripts/release.sh $(PLATFORMS)

fmt: ## format Go and Caddyfiles
	gofmt -w caddymodule cmd integration scripts
	for file in Caddyfile.example $(wildcard examples/*/Caddyfile); do go run ./cmd/twentygate fmt --overwrite $$file || exit 1; done

clean: ## remove what was built
	rm -rf $(BUILD) integration/node/node_modules integration/receivers/apps/node_modules
