# The program alone: no shell, no package manager, no root. `make image` builds it, `make image-check` tries it.
FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26 AS build
WORKDIR /src
COPY . .
ARG VERSION=dev COMMIT= TARGETOS TARGETARCH
# The caches stay with the builder: only what changed is downloaded and compiled again, and no test's modules are at all.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION -X main.commit=$COMMIT" -o /simusage ./cmd/simusage

# "static" brings the certificates that HTTPS needs, time zones and the user nonroot (65532).
# It is told for which machine: older podman would take the one of the stage before.
FROM --platform=$TARGETPLATFORM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=dev COMMIT=
LABEL org.opencontainers.image.title=simusage org.opencontainers.image.version=$VERSION org.opencontainers.image.revision=$COMMIT
# Of all that is in the program: `make sbom` writes it, `make image` before it builds.
COPY bin/licences.txt /licences.txt
COPY --from=build /simusage /simusage
USER 65532:65532
ENTRYPOINT ["/simusage"]
CMD ["sync"]
