"""Settings that the service takes, and that one should know about all the same."""

import os
from collections.abc import Iterator

from registry.checkup.findings import Finding, weak
from registry.config import Settings, is_loopback

THREADS_WORTH_HAVING = 16
MILLISECONDS = 1_000


def look(settings: Settings) -> Iterator[Finding]:
    """Whatever is weak in these settings."""
    yield from _doors(settings)
    yield from _tokens(settings)
    yield from _limits(settings)


def _doors(settings: Settings) -> Iterator[Finding]:
    if not settings.auth:
        yield weak("REGISTRY_AUTH=off: everybody on this machine may do everything", "remove it")
    if settings.metrics_token is None and not is_loopback(settings.host):
        yield weak(
            f"/metrics is open to whoever reaches {settings.host}",
            "set REGISTRY_METRICS_TOKEN, or have the proxy not pass it on",
        )
    if settings.local_sources:
        yield weak(
            "REGISTRY_LOCAL_SOURCES=on: sources may be paths that other machines cannot read",
            "remove it where all artifacts are in an object store",
        )


def _tokens(settings: Settings) -> Iterator[Finding]:
    if settings.auth and not settings.token_days and not settings.token_days_max:
        yield weak("tokens do not expire by themselves", "set REGISTRY_TOKEN_DAYS, REGISTRY_TOKEN_DAYS_MAX, or both")
    if settings.admin_token is not None:
        yield weak(
            "REGISTRY_ADMIN_TOKEN is set: revoked, it is valid again at the next start",
            "remove it once an administrator has a token of their own",
        )


def _limits(settings: Settings) -> Iterator[Finding]:
    if settings.pool_size < settings.threads:
        yield weak(
            f"{settings.threads} threads of a worker share {settings.pool_size} connections and wait for one another",
            "set REGISTRY_POOL_SIZE to REGISTRY_THREADS, or leave it out",
        )
    if settings.statement_timeout_ms >= settings.worker_timeout_seconds * MILLISECONDS:
        yield weak(
            "a worker is replaced before a statement runs into its time-out",
            "set REGISTRY_STATEMENT_TIMEOUT_MS below REGISTRY_WORKER_TIMEOUT_SECONDS",
        )
    cores = len(os.sched_getaffinity(0))
    if settings.workers > 4 * cores or settings.threads > THREADS_WORTH_HAVING:
        yield weak(
            f"{settings.workers} workers with {settings.threads} threads on {cores} cores only add waiting",
            "set REGISTRY_WORKERS to the number of cores, REGISTRY_THREADS to 4",
        )
