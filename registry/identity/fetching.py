"""Gets a JSON document from an issuer, within limits: an issuer that is slow, or sends much, must not hold us up."""

import json
import time
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from registry.identity.issuers import is_safe

LONGEST = 256 * 1024
"""Bytes; the key sets of large issuers have about 20,000."""
CONNECT_SECONDS, READ_SECONDS, ALTOGETHER_SECONDS = 2.0, 3.0, 5.0
OK = 200


class NotFetched(Exception):
    """There is no document; the text says why not."""


def fetch(url: str) -> dict[str, Any]:
    """The document at `url`. No redirect is followed: it would lead away from the issuer that was named.

    :raises NotFetched: there is none, it is no JSON object, it is too long, or it takes too long.
    """
    if not is_safe(url):
        raise NotFetched(f"{url} is no https:// address")
    deadline = time.monotonic() + ALTOGETHER_SECONDS
    try:
        with urllib3.PoolManager(num_pools=1) as pool:
            found = json.loads(body(pool, url, deadline))
    except HTTPError as error:
        raise NotFetched(f"{url} does not answer: {type(error).__name__}") from error
    except (ValueError, RecursionError):
        raise NotFetched(f"{url} answers with something else than JSON") from None
    if not isinstance(found, dict):
        raise NotFetched(f"{url} answers with something else than a JSON object")
    return found


def body(pool: urllib3.PoolManager, url: str, deadline: float) -> bytes:
    """The bytes of the answer."""
    timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "model-registry"}
    answer = pool.request(
        "GET", url, headers=headers, timeout=timeout, retries=False, redirect=False, preload_content=False
    )
    try:
        if answer.status != OK:
            raise NotFetched(f"{url} answers with status {answer.status}")
        found = b""
        while piece := answer.read1(LONGEST + 1, decode_content=False):
            found += piece
            if len(found) > LONGEST:
                raise NotFetched(f"{url} answers with more than {LONGEST} bytes")
            if time.monotonic() > deadline:
                raise NotFetched(f"{url} takes longer than {ALTOGETHER_SECONDS:g} seconds")
        return found
    finally:
        answer.close()
