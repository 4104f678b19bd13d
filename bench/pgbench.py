"""pgbench, which asks the database without any service in between."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from bench.servers import plain


def program() -> str | None:
    """Where pgbench is, also where Debian keeps the programs of each version."""
    found = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))]
    return next(iter([*found[::-1], *filter(None, [shutil.which("pgbench")])]), None)


def rate(url: str, script: Path, clients: int, seconds: float, options: Iterable[str] = ()) -> float:
    """Transactions per second of a script."""
    command = [program() or "pgbench", "-n", "-f", str(script), "-c", str(clients), "-j", "1", "-T", f"{seconds:.0f}"]
    ended = subprocess.run(
        [*command, *options, plain(url)], capture_output=True, text=True, check=False, env=dict(os.environ, LC_ALL="C")
    )
    return read(ended.stdout, ended.stderr)


def read(said: str, complained: str = "") -> float:
    """Take the rate from what pgbench prints.

    :raises RuntimeError: a transaction failed.
    """
    found = re.search(r"^tps = ([0-9.]+) \(without initial connection time\)", said, re.MULTILINE)
    if not found or "aborted" in complained:
        raise RuntimeError(f"pgbench failed: {complained.strip() or said.strip()}")
    return float(found[1])
