FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked

FROM rust:1.95-slim-bookworm AS build-s3
RUN cargo install s3s-fs@0.14.1 --features binary --locked

# An S3-compatible store over a folder, for trying out.
FROM debian:bookworm-slim AS s3
COPY --from=build-s3 /usr/local/cargo/bin/s3s-fs /usr/local/bin/
RUN mkdir -p /data/lake && chown -R 65534:65534 /data
USER 65534:65534
VOLUME /data
CMD ["s3s-fs", "--host", "0.0.0.0", "--port", "8014", "--access-key", "marketlake", "--secret-key", "marketlake-secret", "/data"]

FROM debian:bookworm-slim AS marketlake
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/release/marketlake /usr/local/bin/
RUN mkdir /data && chown 65534:65534 /data
USER 65534:65534
WORKDIR /
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["marketlake"]
CMD ["up"]
