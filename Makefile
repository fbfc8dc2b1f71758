# Everything a person does with this repository. `make` lists it.

BUILD       := build
BINARY      := $(BUILD)/twentygate
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: help build run test lint unit integration tools bench fmt clean
help: ## list these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

build: ## build the binary (the first time compiles Caddy, which takes minutes)
	CGO_ENABLED=0 go build -trimpath -o $(BINARY) ./cmd/twentygate

run: build ## build, post a genuine and a forged delivery, and go on serving
	@scripts/run.sh $(BINARY)

test: tools lint unit integration ## install what the tests lack, and run them all

tools: ## install what the tests need and this machine lacks
	@scripts/install-test-tools.sh
	cd integration/node && npm ci --no-audit --no-fund

lint: ## gofmt, vet, staticcheck
	@unformatted=$$(gofmt -l caddymodule cmd integration); \
	if [ -n "$$unformatted" ]; then echo "not gofmt-clean: $$unformatted"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...
	cd integration && go vet ./... && go run $(STATICCHECK) ./...

unit: ## the tests beside the code, under the race detector
	go test -race ./...

integration: build ## the black-box tests against the built binary
	cd integration && TWENTYGATE_BINARY=$(CURDIR)/$(BINARY) go test -race -count=1 -timeout 40m ./...

bench: ## the benchmarks beside the code
	go test -run '^$$' -bench . -benchmem ./caddymodule/...

fmt: ## format Go and Caddyfiles
	gofmt -w caddymodule cmd integration
	go run ./cmd/twentygate fmt --overwrite Caddyfile.example

clean: ## remove what was built
	rm -rf $(BUILD) integration/node/node_modules
