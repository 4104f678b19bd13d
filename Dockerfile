# The registry with its embedded PostgreSQL, for one container with a volume, or for many beside a database of their own
# (REGISTRY_DATABASE_URL). The lock file decides every version.
FROM python:3.13-slim AS build
WORKDIR /build
RUN python -m venv /opt/registry
COPY requirements.lock .
RUN /opt/registry/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY registry registry
COPY migrations migrations
RUN /opt/registry/bin/pip install --no-cache-dir --no-build-isolation --no-deps . \
    && /opt/registry/bin/pip uninstall --yes setuptools pip

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/registry --create-home registry
COPY --from=build /opt/registry /opt/registry
ENV PATH=/opt/registry/bin:$PATH \
    REGISTRY_HOST=0.0.0.0 \
    REGISTRY_DATA_DIR=/var/lib/registry/data
USER registry
WORKDIR /var/lib/registry
VOLUME /var/lib/registry
EXPOSE 5055
# Ready, not only alive: the database answers and has the schema that this image needs.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import os, urllib.request as web; web.urlopen('http://127.0.0.1:' + os.environ.get('REGISTRY_PORT', '5055') + '/readyz', timeout=4)"]
ENTRYPOINT ["registry"]
CMD ["serve"]
