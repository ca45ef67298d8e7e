# The program alone: no shell, no package manager, no root. `make image` builds it.
FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26 AS build
WORKDIR /src
COPY . .
ARG VERSION=dev TARGETOS TARGETARCH
# The caches stay with the builder: only what changed is downloaded and compiled again, and no test's modules are at all.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /simusage ./cmd/simusage

# "static" brings the certificates that HTTPS needs and the user nonroot (65532).
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /simusage /simusage
USER 65532:65532
ENTRYPOINT ["/simusage"]
CMD ["sync"]
