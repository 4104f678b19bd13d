"""Where a request comes from: the other end of the connection, or what a proxy that is trusted says of its caller.

What anybody may write into `X-Forwarded-For` counts only as far as trusted proxies have added to it, from the right.
"""

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
LONGEST = 64
"""Characters of an address with a port, and some space around it."""
WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d+)?|([\d.]+):\d+")


def address(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """The nearest address that is not a trusted proxy's; that of the last proxy where it does not name its caller."""
    if not trusted:
        return peer
    found = parsed(peer)
    for hop in reversed(forwarded.split(",")):
        if found is None or not any(found in network for network in trusted):
            break
        before = parsed(hop)
        if before is None:
            break
        found = before
    return peer if found is None else str(found)


def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, is one that only this machine has."""
    found = parsed(host)
    return host.partition(":")[0].lower() == "localhost" if found is None else found.is_loopback


def parsed(text: str) -> Address | None:
    """An address, also one with a port behind it; one of IPv4 that is dressed as IPv6 as what it is."""
    return None if len(text) > LONGEST else _parsed(text)


@lru_cache(maxsize=1_000)
def _parsed(text: str) -> Address | None:
    bare = text.strip()
    with_port = WITH_PORT.fullmatch(bare)
    try:
        found = ipaddress.ip_address(with_port[1] or with_port[2] if with_port else bare)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
