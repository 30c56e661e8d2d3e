# Four stages: the web console, the program with it inside, the few files that it needs at run time, and an image of just the
# program and these.

FROM node:22.19.0-bookworm-slim AS console
WORKDIR /source/web
# Its libraries come anew only when their list changes.
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund --loglevel error
COPY web .
RUN npm exec -- vite build

FROM rust:1.95.0-slim-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
COPY --from=console /source/web/dist web/dist
RUN cargo build --release --locked --bin gpt-load \
    && install -D -m 0755 target/release/gpt-load /image/app/gpt-load

# The libraries of the very release that it was built with; authorities for TLS; time zones for TZ; and one small program
# that is the shell and wget, for health checks that were written for the original's image.
FROM debian:12.12-slim AS runtime
RUN apt-get update \
    && apt-get install -y --no-install-recommends busybox-static ca-certificates libgcc-s1 tzdata \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /image /image
COPY deploy/image-files /usr/local/bin/image-files
RUN sh /usr/local/bin/image-files /image

FROM scratch
COPY --from=runtime /image /
WORKDIR /app
USER 65532:65532
ENV PATH=/app:/usr/bin:/bin
EXPOSE 3001
VOLUME /app/data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=40s --retries=3 CMD ["/app/gpt-load", "health"]
# In exec form: signals arrive, and arguments of `docker run` are the program's own (`migrate-keys --to …`).
ENTRYPOINT ["/app/gpt-load"]
CMD ["serve"]
