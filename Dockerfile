# Builds the release binary and leaves it alone in an image: no shell, no package manager, a user by number.
FROM rust:1.95-bookworm AS build
WORKDIR /src
# The dependencies first, so that a change of ours does not build them again.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && echo 'fn main() {}' > src/main.rs && touch src/lib.rs \
 && cargo build --release --locked && rm -r src target/release/deps/*unscim* target/release/unscim
COPY askama.toml ./
COPY src src
ARG UNSCIM_COMMIT=unknown
RUN UNSCIM_COMMIT=$UNSCIM_COMMIT cargo build --release --locked
# What the binary loads, the authorities it trusts, and somebody to be.
RUN mkdir -p /image/etc/ssl/certs /image/var/lib/unscim /image/tmp \
 && ldd target/release/unscim | grep -o '/[^ ]*' | xargs -I{} cp --dereference --parents {} /image \
 && cp target/release/unscim /image/unscim \
 && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
 && echo 'hosts: files dns' > /image/etc/nsswitch.conf \
 && echo 'unscim:x:65532:65532::/var/lib/unscim:/none' > /image/etc/passwd \
 && echo 'unscim:x:65532:' > /image/etc/group \
 && chown 65532:65532 /image/var/lib/unscim && chmod 0700 /image/var/lib/unscim && chmod 1777 /image/tmp

FROM scratch
COPY --from=build /image /
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    UNSCIM_DATA_DIR=/var/lib/unscim
USER 65532:65532
WORKDIR /var/lib/unscim
VOLUME /var/lib/unscim
EXPOSE 8080
ENTRYPOINT ["/unscim"]
CMD ["--help"]
