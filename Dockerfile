# One image for every layout: what an instance does is decided by its AUTHKV_* environment (docker-compose.yml).
# Needs nothing but classic Docker: no BuildKit syntax, so Debian 12's own docker.io builds it too.
ARG RUST_IMAGE=rust:1-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

FROM ${RUST_IMAGE} AS build
WORKDIR /build
# The dependencies are a layer of their own: a change in src/ does not compile them again.
COPY Cargo.toml Cargo.lock build.rs ./
COPY src/crates/base/Cargo.toml src/crates/base/
COPY src/crates/codec/Cargo.toml src/crates/codec/
COPY src/crates/command/Cargo.toml src/crates/command/
COPY src/crates/config/Cargo.toml src/crates/config/
COPY src/crates/domain/Cargo.toml src/crates/domain/
COPY src/crates/jwks/Cargo.toml src/crates/jwks/
COPY src/crates/mailbox/Cargo.toml src/crates/mailbox/
COPY src/crates/metrics/Cargo.toml src/crates/metrics/
COPY src/crates/prepare/Cargo.toml src/crates/prepare/
COPY src/crates/token/Cargo.toml src/crates/token/
COPY src/crates/wire/Cargo.toml src/crates/wire/
COPY src/crates/xlog/Cargo.toml src/crates/xlog/
RUN for crate in src src/crates/*; do touch $crate/lib.rs; done \
    && cargo build --release --locked && find src -name lib.rs -delete
COPY src src
COPY tarantool_infra tarantool_infra
# The copied files may be older than the empty libraries just built; cargo goes by modification times.
# What only a debugger reads is left out.
RUN touch src/lib.rs src/crates/*/lib.rs && cargo build --release --locked && strip --strip-debug target/release/libauthkv.so

FROM ${RUNTIME_IMAGE}
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends tarantool \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/authkv --shell /usr/sbin/nologin authkv \
    && install -d -o authkv -g authkv -m 0700 /var/lib/authkv \
    && install -d -o authkv -g authkv -m 0755 /var/lib/authkv-public
# The repository's own layout, so that init.lua finds its parts as it does outside a container. Owned by root: the
# process cannot change its own code.
WORKDIR /opt/authkv
COPY init.lua backup.lua ./
COPY tarantool_infra tarantool_infra
COPY --from=build /build/target/release/libauthkv.so target/release/
# For the role of Tarantool 3, where the image has that: Tarantool looks for modules there.
RUN mkdir -p /usr/local/lib/tarantool /usr/local/share/tarantool/roles \
    && ln -s /opt/authkv/target/release/libauthkv.so /usr/local/lib/tarantool/authkv.so \
    && ln -s /opt/authkv/tarantool_infra/roles/authkv.lua /usr/local/share/tarantool/roles/authkv.lua

# /var/lib/authkv holds the data and the private key; /var/lib/authkv-public is for a public key to share.
ENV AUTHKV_DATA_DIR=/var/lib/authkv \
    AUTHKV_HTTP_LISTEN=0.0.0.0:8080 \
    AUTHKV_HTTP_ADMIN_LISTEN=0.0.0.0:8081 \
    AUTHKV_IPROTO_LISTEN=0.0.0.0:3301
USER authkv
VOLUME /var/lib/authkv
EXPOSE 8080 8081 3301
STOPSIGNAL SIGTERM
# Healthy: the admin listener says that the instance is ready.
HEALTHCHECK --interval=2s --timeout=5s --start-period=60s --retries=3 \
    CMD ["bash", "tarantool_infra/package/health.sh", "readyz"]
CMD ["tarantool", "init.lua"]
