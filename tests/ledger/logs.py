"""Logs for tests of the verifier: honest exports, their checkpoints, and what a forger would make of them."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from registry.ledger.merkle import leaf_hash, range_hash
from registry.ledger.note import Checkpoint, Signer

ORIGIN = "model-registry/audit"
SIGNER = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def events(count: int, streams: int = 3) -> list[bytes]:
    """Honest lines, as PostgreSQL writes them: several streams, a clock that sometimes stands still."""
    heads: dict[str, tuple[int, str]] = {}
    lines = []
    for number in range(count):
        stream = f"model:{number * number % streams + 1}"
        seq, prev = heads.get(stream, (0, ""))
        line = json.dumps(event(stream, seq + 1, prev, 1_764_000_000_000_000 + number // 2)).encode()
        heads[stream] = (seq + 1, leaf_hash(line).hex())
        lines.append(line)
    return lines


def event(stream: str, seq: int, prev: str, at_us: int) -> dict[str, Any]:
    """One event's fields; the reason shows that a line may hold any text."""
    return {
        "v": 1, "seq": seq, "prev": prev, "at_us": at_us, "actor": "principal:17", "stream": stream,
        "action": "model_version.transition", "object": f"{stream}/version:{seq}", "request_id": f"request-{seq}",
        "reason": {"salted_sha256": hashlib.sha256(b"words").hexdigest()}, "changes": {"stage": ["None", "Staging"]},
    }  # fmt: skip


def rechained(lines: list[bytes]) -> list[bytes]:
    """Renumber and chain lines anew: the full consistent rewrite of somebody who owns the database."""
    heads: dict[str, tuple[int, str]] = {}
    made = []
    for line in lines:
        fields = json.loads(line)
        seq, prev = heads.get(fields["stream"], (0, ""))
        made.append(json.dumps(fields | {"seq": seq + 1, "prev": prev}).encode())
        heads[fields["stream"]] = (seq + 1, leaf_hash(made[-1]).hex())
    return made


def signed(lines: list[bytes], signer: Signer = SIGNER, origin: str = ORIGIN) -> str:
    """The checkpoint of these lines."""
    return signer.sign(Checkpoint(origin, len(lines), range_hash(map(leaf_hash, lines))))


def receipt(line: bytes) -> str:
    """What the service gave with the answer to this change."""
    fields = json.loads(line)
    return f"{fields['stream']}/{fields['seq']}/{leaf_hash(line).hex()}"


def at_line(line: bytes, number: int) -> tuple[int, int, str, int]:
    """Where a report says that it is."""
    fields = json.loads(line)
    return number, number - 1, fields["stream"], fields["seq"]


@dataclass
class Given:
    """What an auditor has in a directory."""

    directory: Path
    lines: list[bytes]
    checkpoint: str
    previous: list[str] = field(default_factory=list)
    receipts: list[str] = field(default_factory=list)
    key: str = str(SIGNER.verifier)
    raw: bytes | None = None

    def arguments(self) -> list[str]:
        """Write the files; return the command."""
        export = self.write(
            "log.jsonl", b"".join(line + b"\n" for line in self.lines) if self.raw is None else self.raw
        )
        command = ["verify", "--jsonl", export, "--key", self.write("key", self.key.encode() + b"\n")]
        if self.checkpoint:
            command += ["--checkpoint", self.write("checkpoint", self.checkpoint.encode())]
        for number, note in enumerate(self.previous):
            command += ["--previous", self.write(f"previous{number}", note.encode())]
        if self.receipts:
            command += ["--receipts", self.write("receipts", "\n".join(self.receipts).encode())]
        return command

    def write(self, name: str, content: bytes) -> str:
        """Write one file; return its path."""
        path = self.directory / name
        path.write_bytes(content)
        return str(path)
