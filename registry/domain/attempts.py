"""Failed attempts to prove who one is. Those that come too often are refused for a while, wherever they arrive.

Counted are attempts that failed and nothing else, so that nobody is locked out by others: a good credential passes,
however much was tried beside it. The windows are those of the library `limits`; where they are kept is ours, since all
workers on all machines have to count together and PostgreSQL is what they share.
"""

import hashlib
import ipaddress
import math
import time
from collections.abc import Iterator
from datetime import timedelta

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter
from sqlalchemy import ColumnElement, case, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from registry.config import Settings
from registry.tables import FailedAttempts

PREFIX_LENGTH = 12
"""Characters of a credential that are counted together: with `mreg_` seven of a secret's forty, which tell nothing."""
FORGOTTEN_AT_ONCE = 20
"""How many counts that have run out are removed with each that is made or raised."""
NETWORK_OF_ONE = 64
"""Bits that the addresses of one caller have in common in IPv6, where anybody has 2^64 of them."""


def exhausted(session: Session, settings: Settings, address: str, secret: str) -> int | None:
    """Count a failed attempt; if there were too many before it, it counts no more: return the seconds until one would.

    Of those that come at once, on however many workers, exactly as many are counted as the settings allow.
    """
    limiter = FixedWindowRateLimiter(Counts(session))
    for item, kind, value in counted(settings, address, secret):
        # Looked at first, so that a flood of attempts soon writes nothing more.
        if not (limiter.test(item, kind, value) and limiter.hit(item, kind, value)):
            ends_at = limiter.get_window_stats(item, kind, value).reset_time
            return max(1, math.ceil(ends_at - time.time()))
    return None


def counted(settings: Settings, address: str, secret: str) -> Iterator[tuple[RateLimitItem, str, str]]:
    """What an attempt counts against: a limit, and whose it is."""
    seconds = settings.failed_attempts_seconds
    if settings.failed_attempts_per_address:
        item = RateLimitItemPerSecond(settings.failed_attempts_per_address, seconds)
        yield item, "address", network_of(address)
    if settings.failed_attempts_per_token and not is_signed(secret):
        yield RateLimitItemPerSecond(settings.failed_attempts_per_token, seconds), "token", secret[:PREFIX_LENGTH]


def is_signed(secret: str) -> bool:
    """Whether a credential has the form of a JWT: all of an issuer begin alike, so their beginning is nobody's."""
    return secret.startswith("eyJ") and secret.count(".") == 2  # noqa: PLR2004


def network_of(address: str) -> str:
    """The address, or what all addresses of one caller have in common."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    found = getattr(found, "ipv4_mapped", None) or found  # one socket for both has IPv4 dressed as IPv6
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(ipaddress.ip_network((int(found), NETWORK_OF_ONE), strict=False))


class Counts(Storage):
    """What the library counts, in a table. The time is the database's, which is the same for all."""

    STORAGE_SCHEME = None

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session

    @property
    def base_exceptions(self) -> type[Exception]:
        """What goes wrong here; it is passed on as it is."""
        return DBAPIError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Raise a count, or begin it anew if it has run out; return what it is then."""
        self.forget()
        new = insert(FailedAttempts).values(
            key=digest(key), count=amount, expires_at=func.clock_timestamp() + timedelta(seconds=expiry)
        )
        over = FailedAttempts.expires_at <= func.clock_timestamp()
        raised = new.on_conflict_do_update(
            index_elements=[FailedAttempts.key],
            set_={
                "count": case((over, amount), else_=FailedAttempts.count + amount),
                "expires_at": case((over, new.excluded.expires_at), else_=FailedAttempts.expires_at),
            },
        )
        return self.session.scalars(raised.returning(FailedAttempts.count)).one()

    def get(self, key: str) -> int:
        """The count, 0 if there is none."""
        return self.session.scalar(select(FailedAttempts.count).where(*counts_now(key))) or 0

    def get_expiry(self, key: str) -> float:
        """When the count runs out, in seconds since the epoch on the clock of this process."""
        left = func.extract("epoch", FailedAttempts.expires_at - func.clock_timestamp())
        return time.time() + float(self.session.scalar(select(left).where(*counts_now(key))) or 0)

    def check(self) -> bool:
        """Whether the counts can be read."""
        return self.session.scalar(select(func.count()).select_from(FailedAttempts)) is not None

    def reset(self) -> int | None:
        """Forget all counts; return how many there were."""
        return len(self.session.scalars(delete(FailedAttempts).returning(FailedAttempts.key)).all())

    def clear(self, key: str) -> None:
        """Forget a count."""
        self.session.execute(delete(FailedAttempts).where(FailedAttempts.key == digest(key)))

    def forget(self) -> None:
        """Remove a few counts that have run out; those that somebody else is about to remove are left to him."""
        old = (
            select(FailedAttempts.key)
            .where(FailedAttempts.expires_at <= func.clock_timestamp())
            .limit(FORGOTTEN_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        gone = delete(FailedAttempts).where(FailedAttempts.key.in_(old))
        self.session.execute(gone, execution_options={"synchronize_session": False})


def counts_now(key: str) -> tuple[ColumnElement[bool], ...]:
    """The conditions under which a count holds."""
    return FailedAttempts.key == digest(key), FailedAttempts.expires_at > func.clock_timestamp()


def digest(key: str) -> bytes:
    """What is kept of a key. It may end in the beginning of somebody's password."""
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()
