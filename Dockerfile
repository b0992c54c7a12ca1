# Builds the release binary and leaves it alone in an image: no shell, no package manager, a user by number.
FROM rust:1.95-bookworm AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# Writes the list of all dependencies into the binary, where scanners find it.
RUN cargo install cargo-auditable --version 0.7.7 --locked
WORKDIR /src
# The dependencies first, so that a change of ours does not build them again.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && echo 'fn main() {}' >src/main.rs && touch src/lib.rs \
 && cargo auditable build --release --locked \
 && rm -r src target/release/.fingerprint/unscim-* target/release/deps/*unscim* target/release/unscim
COPY askama.toml ./
COPY src src
ARG UNSCIM_COMMIT=unknown
RUN UNSCIM_COMMIT=$UNSCIM_COMMIT cargo auditable build --release --locked
# What the binary loads, the authorities it trusts, and somebody to be.
RUN mkdir -p /image/etc/ssl/certs /image/var/lib/unscim /image/var/lib/dpkg/status.d /image/tmp \
 && ldd target/release/unscim | grep -o '/[^ ]*' >/loaded \
 && xargs -I{} cp --dereference --parents {} /image </loaded \
 && cp target/release/unscim /image/unscim \
 && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
 && echo 'hosts: files dns' >/image/etc/nsswitch.conf \
 && echo 'unscim:x:65532:65532::/var/lib/unscim:/none' >/image/etc/passwd \
 && echo 'unscim:x:65532:' >/image/etc/group \
 && chown 65532:65532 /image/var/lib/unscim && chmod 0700 /image/var/lib/unscim && chmod 1777 /image/tmp
# Which packages those files are from, with their licences: a scanner can't tell it from the files.
RUN cp --dereference /etc/os-release /image/etc/os-release \
 && { xargs dpkg -S </loaded | cut -d: -f1; echo ca-certificates; } | sort -u >/packages \
 && while read -r package; do \
      dpkg -s "$package" >"/image/var/lib/dpkg/status.d/$package"; \
      cp --dereference --parents "/usr/share/doc/$package/copyright" /image; \
    done </packages

FROM scratch
ARG UNSCIM_VERSION=0.1.0
ARG UNSCIM_COMMIT=unknown
ARG UNSCIM_SOURCE=unknown
LABEL org.opencontainers.image.title="unscim" \
      org.opencontainers.image.description="Retires SCIM group provisioning from Microsoft Entra ID without touching a single user" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="$UNSCIM_SOURCE" \
      org.opencontainers.image.version="$UNSCIM_VERSION" \
      org.opencontainers.image.revision="$UNSCIM_COMMIT"
COPY --from=build /image /
# Memory of one look goes back to the system before the next one, instead of staying with the thread that freed it.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    UNSCIM_DATA_DIR=/var/lib/unscim \
    MALLOC_ARENA_MAX=1 \
    MALLOC_MMAP_THRESHOLD_=131072
USER 65532:65532
WORKDIR /var/lib/unscim
VOLUME /var/lib/unscim
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/unscim"]
CMD ["--help"]
