# docker build -t cam-httpflv . && docker run -p 8005:8005 -p 8006:8006 cam-httpflv
# A configuration file: -v /etc/cam-httpflv.ini:/etc/cam-httpflv.ini:ro, readable for user 10001.
# Cameras that requests save ([access] manage): -v cam-httpflv:/var/lib/cam-httpflv
FROM debian:13-slim AS build
RUN apt-get update -q && apt-get install -q -y --no-install-recommends \
        gcc make pkg-config libc6-dev libavformat-dev libavcodec-dev libavutil-dev \
        libswresample-dev libswscale-dev libuv1-dev libjpeg62-turbo-dev libstb-dev \
        libllhttp-dev libinih-dev libjansson-dev libsystemd-dev libseccomp-dev libssl-dev npm ca-certificates \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Makefile ./
COPY common common
COPY master master
COPY worker worker
COPY scripts scripts
COPY docs docs
RUN make -j"$(nproc)" && make install DESTDIR=/out PREFIX=/usr

FROM debian:13-slim
RUN apt-get update -q && apt-get install -q -y --no-install-recommends \
        libavformat61 libswscale8 libjpeg62-turbo libuv1t64 libllhttp9.2 libinih1 libjansson4 libsystemd0 \
        libseccomp2 libssl3t64 ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin cam-httpflv \
    && touch /etc/cam-httpflv.ini \
    && install -d -m 0750 -o cam-httpflv -g cam-httpflv /var/lib/cam-httpflv
COPY --from=build /out/usr/bin/cam-httpflv /usr/bin/
COPY --from=build /out/usr/libexec/cam-httpflv /usr/libexec/cam-httpflv
USER 10001
VOLUME /var/lib/cam-httpflv
EXPOSE 8005 8006
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:8006/healthz"]
ENTRYPOINT ["/usr/bin/cam-httpflv", "--config", "/etc/cam-httpflv.ini"]
