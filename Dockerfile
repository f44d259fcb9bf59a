# syntax=docker/dockerfile:1.7

# The image of headrace: one static program on an empty system, run by a user
# without rights. It has no embedded Temporal (-tags slim).
#
#   docker build -t headrace --build-arg VERSION="$(git describe --tags --always --dirty)" .
#
# Base images are pinned by version. To pin what was tested byte for byte, append
# the digest that this prints, as in golang:1.26.8-bookworm@sha256:…
#
#   docker buildx imagetools inspect golang:1.26.8-bookworm --format '{{.Manifest.Digest}}'

FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src
ENV CGO_ENABLED=0 GOTOOLCHAIN=local

# Modules change less often than code: they have a layer of their own.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod \
    go mod download

COPY . .
ARG VERSION=""
ARG TARGETOS
ARG TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    GOOS=$TARGETOS GOARCH=$TARGETARCH go build -tags slim -trimpath -buildvcs=false \
      -ldflags "-s -w -X github.com/headrace/headrace/internal/version.stamp=$VERSION" \
      -o /out/headrace ./cmd/headrace

FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=""
ARG REVISION=""
LABEL org.opencontainers.image.title="headrace" \
      org.opencontainers.image.description="Durable LLM calls on Temporal: API and worker" \
      org.opencontainers.image.source="https://github.com/headrace/headrace" \
      org.opencontainers.image.documentation="https://github.com/headrace/headrace/blob/main/docs/deploy.md" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /out/headrace /usr/local/bin/headrace

# By number, so that Kubernetes can see that it is not root. It is the user
# nonroot of the base image.
USER 65532:65532
WORKDIR /tmp

# The API listens on 8080, metrics and health of all roles on 9090, if the
# configuration says so.
EXPOSE 8080 9090
STOPSIGNAL SIGTERM

# It asks where telemetry.listen or api.listen says; a configuration file has to be
# named by HEADRACE_CONFIG for that, since it does not see the program's flags.
# There is no shell in the image, hence the form with brackets.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/headrace", "health"]
ENTRYPOINT ["/usr/local/bin/headrace"]
CMD ["--help"]
