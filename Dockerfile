FROM rust:1.95.0-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# Without symbols: 186 MB instead of a gigabyte; 65 MB compressed.
RUN CARGO_PROFILE_RELEASE_STRIP=symbols CARGO_PROFILE_RELEASE_DEBUG=false cargo build --release --locked && mkdir /data

FROM rust:1.95.0-slim-bookworm AS build-s3
RUN cargo install s3s-fs@0.14.1 --features binary --locked

# An S3-compatible store over a folder, for trying out.
FROM debian:bookworm-slim AS s3
COPY --from=build-s3 /usr/local/cargo/bin/s3s-fs /usr/local/bin/
RUN mkdir -p /data/lake && chown -R 65534:65534 /data
USER 65534:65534
VOLUME /data
CMD ["s3s-fs", "--host", "0.0.0.0", "--port", "8014", "--access-key", "marketlake", "--secret-key", "marketlake-secret", "/data"]

# C library and certificates, no shell. It writes to /data and /tmp only: the root file system may
# be read-only.
FROM gcr.io/distroless/cc-debian12:nonroot AS marketlake
COPY --from=build /src/target/release/marketlake /usr/local/bin/
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
WORKDIR /
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=4 CMD ["marketlake", "smoke", "http://127.0.0.1:8080", "--ready"]
ENTRYPOINT ["marketlake"]
CMD ["up"]
