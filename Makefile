# Needs Go and make; `make` alone lists what there is to do.
VERSION = $(shell git describe --tags --always --dirty --abbrev=12 2>/dev/null || echo dev)
COMMIT = $(shell git rev-parse HEAD 2>/dev/null)
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
PKG ?= ./...

help: ## list these
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "make %-13s %s\n", $$1, $$2}' Makefile

demo: postgres echarts ## see it work on invented data; HOLD=1 leaves it up to look around
	go run ./cmd/demo $(if $(HOLD),-hold)

test: postgres echarts ## run all tests, or PKG=./load
	@race=-race; [ "$$(go env CGO_ENABLED)" = 1 ] && command -v "$$(go env CC)" >/dev/null || \
		{ race=; echo "no C compiler: testing without the race detector"; }; \
	set -x; go test $$race -timeout 20m $(PKG)

soak: postgres ## 60 days of hourly runs with all that goes wrong, in minutes
	go test ./pipeline -run TestSoak -v -timeout 60m -soak $(or $(DAYS),60) | awk '!/ level=/ { print; fflush() } /^ok/ { ok = 1 } END { exit !ok }'

bench: postgres ## measure it (minutes): ROWS=20000000 RUNS=2 ONLY=first,reread FILL=1000000,20000000
	go run ./cmd/bench $(if $(FILL),-fill $(FILL)) $(if $(ONLY),-only $(ONLY)) $(if $(ROWS),-rows $(ROWS)) $(if $(RUNS),-runs $(RUNS))

bench-scale: postgres ## measure many processes, and a day of a million SIMs (long, with 10 GB of memory), for deploy/SCALE.md
	go run ./cmd/bench -only pods,leases -runs 1
	go run ./cmd/bench -only day -rows 24000000 -runs 1 -readme deploy/SCALE.md

bench-bi: postgres ## measure what dashboards ask, over 50 million rows: ROWS=1000000 for less
	@mkdir -p cmd/bench/plans
	go run ./cmd/bench -only questions -plans cmd/bench/plans -rows $(or $(ROWS),50400000) $(if $(RUNS),-runs $(RUNS))

bi-check: postgres ## let psql, JDBC, ODBC and LibreOffice read the views, and compare what they see (a minute)
	@cmd/bicheck/install.sh
	go run ./cmd/bicheck

runbook-check: postgres ## run what deploy/RUNBOOK.md says of back-ups and of PgBouncer
	@cmd/simusage/install.sh
	go test -count=1 -tags runbook -run 'TestRunbook(Restore|Pooled)' ./cmd/simusage

build: echarts ## build bin/simusage
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)" -o bin/simusage ./cmd/simusage

reproduce: build ## build the last commit again, elsewhere and with nothing cached, and compare the bytes (a minute)
	@git diff --quiet HEAD || { echo "commit first: what is built again is the last commit"; exit 1; }
	@elsewhere=$$(mktemp -d); trap 'rm -rf "$$elsewhere"' EXIT; set -e; \
	git clone -q . "$$elsewhere/source"; \
	GOCACHE=$$elsewhere/cache $(MAKE) -s -C "$$elsewhere/source" build; \
	cmp bin/simusage "$$elsewhere/source/bin/simusage"; echo "the same bytes"

sbom: build ## write what bin/simusage is made of (CycloneDX), and the licences that go with it
	go run ./cmd/sbom -version $(VERSION) bin/simusage

report-check: postgres ## look at the report in a real browser: charts, filters, dark, phone, paper
	@report/echarts/fetch.sh --strict
	@rm -rf bin/pages && mkdir -p bin/pages
	go run ./cmd/demo >/dev/null
	go test -count=1 ./report -run "Names|Empty|Many" -pages "$(CURDIR)/bin/pages"
	report/browser/check.sh bin/pictures bin/usage.html bin/pages/*.html

lint: ## check format and code
	@bad=$$("$$(go env GOROOT)/bin/gofmt" -l .); [ -z "$$bad" ] || { echo "run gofmt -w on:" $$bad; exit 1; }
	go vet -tags runbook ./...
	go run $(STATICCHECK) ./...

alerts-check: ## hold the Prometheus alerts against their cases
	@deploy/prometheus/check.sh

postgres: ## have a Postgres server for tests and demo, installed if need be
	@load/pgtest/install.sh

echarts: # what draws the report's charts; without it there are none, and it says so
	@report/echarts/fetch.sh

image: echarts sbom ## build the container image; PLATFORM=linux/arm64 for another architecture
	$$(docker info >/dev/null 2>&1 && echo docker || echo podman) build --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) \
		$(if $(PLATFORM),--platform $(PLATFORM) --build-arg BUILDPLATFORM=linux/$$(go env GOARCH)) -t simusage:$(VERSION) .

image-check: postgres echarts sbom ## build the container image and run migrate and sync in it (minutes the first time)
	@cmd/imagecheck/install.sh
	go run ./cmd/imagecheck

e2e-k8s: postgres ## let a real Kubernetes control plane run the manifests (a minute; ten more the first time)
	go -C deploy/e2e vet ./...
	go -C deploy/e2e test -count=1 -timeout 20m ./...

clean: ## remove what was built
	rm -rf bin

.PHONY: help demo test soak bench bench-bi bench-scale bi-check report-check alerts-check runbook-check build reproduce sbom lint postgres echarts image image-check e2e-k8s clean
.DEFAULT_GOAL := help
