# The gate as a container: two environment variables are all it takes,
# TWENTY_WEBHOOK_SECRET (or TWENTY_WEBHOOK_SECRET_FILE) and UPSTREAM.
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
ARG TARGETOS TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# Go takes the version from .git; where that is not at hand, as in an archive of the
# source, --build-arg VERSION=v1.2.3 says it.
ARG VERSION
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH make release-binary OUT=/out/twentygate VERSION="$VERSION"
RUN go run ./scripts/licenses /out/twentygate >/out/THIRD_PARTY_LICENSES.txt
# Caddy's own state (its certificates) goes to /data; everything else is
# read-only.
RUN mkdir -p /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/twentygate /usr/bin/twentygate
COPY --from=build /src/Caddyfile.example /etc/twentygate/Caddyfile
COPY --from=build /src/LICENSE /usr/share/doc/twentygate/
COPY --from=build /out/THIRD_PARTY_LICENSES.txt /usr/share/doc/twentygate/
COPY --from=build --chown=65532:65532 /out/data /data
ENV XDG_CONFIG_HOME=/data XDG_DATA_HOME=/data HOME=/data
# Not the example's stand-in: a container without UPSTREAM must not answer 200.
ENV UPSTREAM=127.0.0.1:3000
USER 65532:65532
# Given by whoever publishes the image.
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="twentygate" \
      org.opencontainers.image.description="Lets only genuine, fresh, first-time deliveries of Twenty's webhooks through" \
      org.opencontainers.image.source="https://github.com/twentygate/twentygate" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
EXPOSE 8080
# Caddy ends deliveries under way within the gate's deliver_timeout (60 s), so
# give it longer than that to stop.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["/usr/bin/twentygate", "twenty-webhook", "health"]
ENTRYPOINT ["/usr/bin/twentygate"]
CMD ["run", "--config", "/etc/twentygate/Caddyfile", "--adapter", "caddyfile"]
