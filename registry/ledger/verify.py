"""The auditor's program: does an export of the audit log stand behind a signed checkpoint? Works without the service.

This file is all there is to read and to run: it needs Python and the package `cryptography`, and imports nothing else.

    registry-audit verify --jsonl log.jsonl --checkpoint new.txt --key log.vkey --previous kept.txt --receipts mine.txt
    python verify.py verify …        (the same, with this file alone)

The export has one event a line, in the order of their positions: line 1 is position 0. The program shows that

1. the key has signed the checkpoint: an origin, a size, and the root of a tree of hashes (c2sp.org/tlog-checkpoint);
2. the first `size` lines have that root, byte for byte (RFC 6962, SHA-256), and there are no fewer of them;
3. each checkpoint kept from earlier (--previous) has the same key's signature, is not larger, and has the root of the
   beginning of the same lines: nothing that it covered was changed, removed or moved since;
4. each stream counts 1, 2, 3 …, every event of it names the hash of the one before, and its clock never goes back;
5. each receipt, which the service gave with the answer to a change, names an event that is there, unchanged.

What it does not show: that what was logged is true; that nothing was removed after the last checkpoint and without a
receipt; and, if you hold no checkpoint from earlier, that the log was never rewritten whole by whoever holds its key.

Exit code: 0 all of it holds; 1 something does not, and the report names the first such thing; 2 wrong use, or a file
cannot be read.
"""

import argparse
import base64
import gzip
import hashlib
import json
import math
import os
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, NamedTuple, TextIO, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

VERIFIED, DIVERGENCE, UNREADABLE = 0, 1, 2
LONGEST_LINE = 65_535
"""Bytes of an event; the database refuses longer ones."""
LONGEST_NOTE = 256 * 1024
CHUNK = 1 << 20
GZIP = b"\x1f\x8b"
TRAILER = b'{"checkpoint":'
"""How the last line of an export begins that brings its checkpoint along: `{"checkpoint": "<the note>"}`."""
EMPTY_ROOT = hashlib.sha256(b"").digest()
DECODER = json.JSONDecoder()


class Unreadable(Exception):
    """What was given is no key, checkpoint, receipt or file that could be verified at all: exit code 2."""


class Unsigned(Exception):
    """A checkpoint that the key has not signed as it stands: exit code 1."""


@dataclass(frozen=True)
class Divergence:
    """Something that does not hold. `line` counts from 1, `position` from 0; a root tells only of a range of lines."""

    check: str
    what: str
    line: int | None = None
    last_line: int | None = None
    position: int | None = None
    stream: str | None = None
    seq: int | None = None


# --- 1. The signature -------------------------------------------------------------------------------------------------


class Key(NamedTuple):
    """The log's public key: `name+id+base64`, as `registry sealer key` prints it."""

    name: str
    key_id: bytes
    public: bytes


class Checkpoint(NamedTuple):
    """What was signed: under this origin, the first `size` events have this root."""

    origin: str
    size: int
    root: bytes
    epoch: int
    """Counts from 1; each restore of the database from a backup begins another one."""


def read_key(text: str) -> Key:
    """Read a key; its id has to be the one that follows from name and key."""
    name, _, rest = text.partition("+")
    written_id, _, encoded = rest.partition("+")
    raw = unbase64(encoded)
    key_id = hashlib.sha256(name.encode(errors="replace") + b"\n" + raw).digest()[:4]
    if not is_name(name) or len(raw) != 33 or raw[:1] != b"\x01" or key_id.hex() != written_id:  # noqa: PLR2004
        raise Unreadable("the key is not an Ed25519 key written name+id+base64")
    return Key(name, key_id, raw[1:])


def read_checkpoint(note: str, key: Key) -> Checkpoint:
    """Read a signed note: the text up to the last empty line, then signatures, of which the key's must be right."""
    if len(note) > LONGEST_NOTE or re.search(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]", note):
        raise Unreadable("the checkpoint is too long or has control characters (a checkpoint has no CRLF)")
    text, separator, under = note.rpartition("\n\n")
    if not separator or not under.endswith("\n"):
        raise Unreadable("the checkpoint is not a text, an empty line and signatures, with a newline at the end")
    signatures = [value for line in under[:-1].split("\n") for value in signature_of(line, key)]
    for signature in signatures:
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature, (text + "\n").encode())
        except (InvalidSignature, ValueError):
            raise Unsigned(f"the signature of {key.name} does not belong to this checkpoint") from None
    if not signatures:
        raise Unsigned(f"the checkpoint is not signed by {key.name}, key {key.key_id.hex()}")
    return parse_checkpoint(text.split("\n"), key)


def signature_of(line: str, key: Key) -> Iterator[bytes]:
    """Yield the signature on a line if it is the key's; those of others, of witnesses for instance, do not count."""
    name, _, encoded = line.removeprefix("\u2014 ").partition(" ")
    raw = unbase64(encoded)
    if not line.startswith("\u2014 ") or not is_name(name) or len(raw) <= len(key.key_id):
        raise Unreadable("a line under the checkpoint is no signature: an em dash, a name, and base64")
    if (name, raw[:4]) == (key.name, key.key_id):
        yield raw[4:]


def parse_checkpoint(lines: list[str], key: Key) -> Checkpoint:
    """Read the signed text. After a restore the origin is the key's name with the number of the epoch behind it."""
    if len(lines) < 3 or not all(lines) or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]):  # noqa: PLR2004
        raise Unreadable("a checkpoint has three lines: origin, size, root")
    origin, size, root = lines[0], int(lines[1]), unbase64(lines[2])
    if len(root) != hashlib.sha256().digest_size or size >= 2**63:
        raise Unreadable("the size or the root of the checkpoint is none")
    epoch = re.fullmatch(re.escape(key.name) + "(?:/([1-9][0-9]{0,8}))?", origin)
    if epoch is None:
        raise Unsigned(f"the checkpoint is of the log {origin}, not of {key.name}")
    return Checkpoint(origin, size, root, int(epoch[1] or 1))


def unbase64(text: str) -> bytes:
    """Read standard base64, strictly."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raw = b""
    if not raw or base64.b64encode(raw).decode() != text:
        raise Unreadable("a key, a root or a signature is not standard base64")
    return raw


def is_name(name: str) -> bool:
    """Whether a key may have this name."""
    return re.fullmatch(r"[^\s+\x00-\x1f\ud800-\udfff]+", name) is not None


# --- 2. and 4. The lines: tree and streams ----------------------------------------------------------------------------


class Head(NamedTuple):
    """The last event of a stream so far."""

    seq: int
    hash: str
    at_us: int
    line: int


FIRST = Head(seq=0, hash="", at_us=0, line=0)
"""What the first event of a stream follows: its `prev` is empty."""


@dataclass
class Log:
    """What the lines so far have shown. It remembers log2(lines) hashes and one head for each stream, no lines."""

    sizes: frozenset[int]
    receipts: dict[str, dict[int, str]]
    lines: int = 0
    nodes: list[bytes] = field(default_factory=list)
    heads: dict[str, Head] = field(default_factory=dict)
    roots: dict[int, bytes] = field(default_factory=lambda: {0: EMPTY_ROOT})
    broken: Divergence | None = None
    """The first fault in a line or a stream; after it, streams are not followed any more, the tree still is."""
    false_receipt: Divergence | None = None
    found_receipts: list[int] = field(default_factory=list)
    """The lines on which they were found."""

    def take(self, line: bytes) -> None:
        """Take the next line in."""
        leaf = hashlib.sha256(b"\x00" + line).digest()
        self._grow(leaf)
        if self.lines in self.sizes:
            self.roots[self.lines] = root_of(self.nodes)
        if self.broken is None:
            self._follow(line, leaf.hex())

    def _grow(self, node: bytes) -> None:
        """Add a leaf to the tree: while there is a subtree of its size to the left, both become one."""
        size, nodes = self.lines, self.nodes
        while size & 1:
            node = hashlib.sha256(b"\x01" + nodes.pop() + node).digest()
            size >>= 1
        nodes.append(node)
        self.lines += 1

    def _follow(self, line: bytes, leaf: str) -> None:
        """See that the line is an event, and the next one of its stream."""
        fault, stream, seq = None, None, None
        try:
            event = parse(line)
            stream, seq = event["stream"], event["seq"]
            last = self.heads.get(stream, FIRST)
            fault = out_of_order(event, last)
            self.heads[stream] = Head(seq, leaf, event["at_us"], self.lines)
        except ValueError as error:
            fault = str(error)
        if fault:
            self.broken = Divergence("streams", fault, self.lines, None, self.lines - 1, stream, seq)
        elif stream in self.receipts:
            self._compare_receipt(stream, cast("int", seq), leaf)

    def _compare_receipt(self, stream: str, seq: int, leaf: str) -> None:
        given = self.receipts[stream].pop(seq, None)
        self.found_receipts += [self.lines] if given == leaf else []
        if given not in {None, leaf} and self.false_receipt is None:
            what = f"the receipt has the hash {given}, the event has {leaf}"
            self.false_receipt = Divergence("receipts", what, self.lines, None, self.lines - 1, stream, seq)


def parse(line: bytes) -> dict[str, Any]:
    """Return the event on a line. A line is one JSON object without anything around it.

    :raises ValueError: it is something else.
    """
    if len(line) > LONGEST_LINE:
        raise ValueError(f"the line is longer than {LONGEST_LINE} bytes, which no event is")
    if line[:1] != b"{" or line[-1:] != b"}":
        crlf = "; it ends in CR: the file was converted" if line.endswith(b"\r") else ""
        raise ValueError(f"the line is not a JSON object and nothing else{crlf}")
    try:
        text = line.decode()
        event, end = DECODER.raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the line is not JSON in UTF-8: {error}") from None
    if end != len(text) or not (
        isinstance(event.get("stream"), str) and isinstance(event.get("prev"), str)
        and type(event.get("seq")) is int and type(event.get("at_us")) is int
    ):  # fmt: skip
        raise ValueError("the line is no event: it lacks a stream, a seq, a prev or an at_us")
    return cast("dict[str, Any]", event)


def out_of_order(event: dict[str, Any], last: Head) -> str | None:
    """Say why an event cannot follow the last one of its stream, or nothing if it can."""
    if event["seq"] != last.seq + 1:
        return f"seq {event['seq']} follows seq {last.seq} (line {last.line}): an event is missing, doubled or moved"
    if event["prev"] != last.hash:
        return (
            f"prev is not the hash of seq {last.seq} (line {last.line}): one of the two lines is not as it was written"
        )
    if event["at_us"] < last.at_us:
        return f"the clock went back: {event['at_us']} after {last.at_us} (line {last.line})"
    return None


def root_of(nodes: Sequence[bytes]) -> bytes:
    """Return the root over perfect subtrees, largest first."""
    root = nodes[-1]
    for node in reversed(nodes[:-1]):
        root = hashlib.sha256(b"\x01" + node + root).digest()
    return root


# --- 3. and 5. Comparing ----------------------------------------------------------------------------------------------


def compare(log: Log, checkpoint: Checkpoint, previous: Sequence[Checkpoint]) -> Iterator[Divergence]:
    """Yield all that does not hold once the lines are read, in the order of the lines."""
    yield from shrunk(checkpoint, previous)
    agreed = 0
    for one in sorted([*previous, checkpoint], key=lambda one: one.size):
        check = "root" if one is checkpoint else "consistency"
        found = log.roots.get(one.size)
        if found == one.root:
            agreed = one.size
        elif found is None:
            what = f"the file ends after {log.lines} events; the checkpoint {one.origin} speaks of {one.size}"
            yield Divergence(check, what, log.lines + 1, one.size, log.lines)
        else:
            what = f"the first {one.size} lines do not have the root that {one.origin} was signed with"
            yield Divergence(check, what + restored(one, checkpoint), agreed + 1, one.size, agreed)
    if log.broken:
        unsealed = ", among the lines not yet sealed" if (log.broken.line or 0) > checkpoint.size else ""
        yield replace(log.broken, what=log.broken.what + unsealed)
    if log.false_receipt:
        yield log.false_receipt
    for stream, left in log.receipts.items():
        for seq in left if log.broken is None else ():  # past a broken line, events were not looked at any more
            yield Divergence("receipts", "the event of a receipt is not in the file", stream=stream, seq=seq)


def shrunk(checkpoint: Checkpoint, previous: Iterable[Checkpoint]) -> Iterator[Divergence]:
    """Yield where a log has become smaller, or has gone back to an origin from before a restore."""
    for old in previous:
        if old.epoch > checkpoint.epoch or (old.epoch == checkpoint.epoch and old.size > checkpoint.size):
            now = f"{checkpoint.origin} has {checkpoint.size}"
            yield Divergence("consistency", f"{old.origin} was signed with {old.size} events; now {now}")


def restored(old: Checkpoint, checkpoint: Checkpoint) -> str:
    """Say what can explain a broken consistency when the origin is another one."""
    if old.epoch == checkpoint.epoch:
        return ""
    return ": the database was restored since, and an event system.restore has to say why and what was lost"


# --- Files and reports ------------------------------------------------------------------------------------------------


def lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines without their newlines, holding no more than a chunk; a line without an end is given as it is."""
    rest = b""
    while chunk := file.read(CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if len(rest) > LONGEST_LINE:
            break
    if rest:
        yield rest


@contextmanager
def open_export(name: str) -> Iterator[IO[bytes]]:
    """Open the export, compressed by gzip or not; `-` is standard input."""
    with cast("BufferedReader", sys.stdin.buffer) if name == "-" else Path(name).open("rb") as file:
        if file.peek(2)[:2] == GZIP:
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield cast("IO[bytes]", unpacked)
        else:
            yield file


def read_lines(log: Log, file: Iterable[bytes]) -> str | None:
    """Take all lines in, and return the checkpoint that the export brings along on its last line, if it does."""
    trailer = None
    for line in file:
        if trailer is not None:
            log.broken = log.broken or Divergence("streams", "lines follow the checkpoint", log.lines + 1)
            break
        if line.startswith(TRAILER):
            trailer = line
        else:
            log.take(line)
    return None if trailer is None else note_in(trailer)


def note_in(trailer: bytes) -> str:
    """Return the note on the last line of an export."""
    try:
        return str(json.loads(trailer.decode())["checkpoint"])
    except (ValueError, RecursionError, KeyError, TypeError):
        raise Unreadable("the last line of the export is no checkpoint") from None


def read_text(name: str) -> str:
    """Return a small text file as it is."""
    raw = Path(name).read_bytes()
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Unreadable(f"{name} is not text in UTF-8") from None


def read_receipts(text: str) -> dict[str, dict[int, str]]:
    """Read receipts, `stream/seq/hash`, with commas or white space between them, as in the header Audit-Receipt."""
    receipts: dict[str, dict[int, str]] = {}
    for receipt in re.split(r"[,\s]+", text.strip()):
        matched = re.fullmatch(r"(.+)/([1-9][0-9]{0,18})/([0-9a-f]{64})", receipt)
        if matched is None:
            raise Unreadable(f"{receipt[:100]!r} is no receipt: stream/seq/hash")
        stream, seq, given = matched[1], int(matched[2]), matched[3]
        if receipts.setdefault(stream, {}).setdefault(seq, given) != given:
            raise Unreadable(f"there are two receipts for {stream}/{seq}: at most one of them can be right")
    return receipts


@dataclass
class Report:
    """What was found, for people and for programs."""

    verified: bool
    origin: str
    size: int
    root: str
    lines: int
    not_yet_sealed: int
    streams: int
    previous: list[int]
    receipts: int
    receipts_not_yet_sealed: int
    first_divergence: Divergence | None
    divergences: list[Divergence]

    def __str__(self) -> str:
        lines = [
            f"origin    {self.origin}", f"size      {self.size} events, root {self.root}",
            f"file      {self.lines} events in {self.streams} streams, {self.not_yet_sealed} of them not yet sealed",
            f"previous  {', '.join(map(str, self.previous)) or 'none: nothing was compared with an earlier state'}",
            f"receipts  {self.receipts} found, {self.receipts_not_yet_sealed} of them of events not yet sealed",
        ]  # fmt: skip
        said = [f"DIVERGENCE {where(one)}: {one.what} [{one.check}]" for one in self.divergences]
        return "\n".join([*lines, *(said or ["VERIFIED: every event up to the checkpoint's size is as it was signed"])])


def where(one: Divergence) -> str:
    """Say where a divergence is, as exactly as it is known."""
    lines = f"lines {one.line} to {one.last_line}" if one.last_line else f"line {one.line}"
    place = [f"at {lines}, position {one.position}"] if one.line else []
    return " ".join([*place, *([f"in {one.stream} seq {one.seq}"] if one.stream else [])]) or "of the checkpoints"


def verify(options: argparse.Namespace) -> Report:
    """Do all of it."""
    key = read_key(read_text(options.key).strip() if Path(options.key).is_file() else options.key)
    previous = [read_checkpoint(read_text(name), key) for name in options.previous]
    given = read_checkpoint(read_text(options.checkpoint), key) if options.checkpoint else None
    receipts = read_receipts(read_text(options.receipts)) if options.receipts else {}
    log = Log(frozenset(one.size for one in [*previous, *([given] if given else [])]), receipts)
    with open_export(options.jsonl) as file:
        brought = read_lines(log, lines_of(file))
    if given is None:
        given = checkpoint_of(log, brought, key)
    divergences = list(compare(log, given, previous))
    return Report(
        not divergences, given.origin, given.size, base64.b64encode(given.root).decode(), log.lines,
        max(0, log.lines - given.size), len(log.heads), sorted(one.size for one in previous),
        len(log.found_receipts), sum(line > given.size for line in log.found_receipts),
        min(divergences, key=first, default=None), divergences,
    )  # fmt: skip


def first(one: Divergence) -> tuple[float, bool]:
    """Order divergences by where they surely are; a line comes before a range of lines that it is in."""
    return one.last_line or one.line or math.inf, one.last_line is not None


def checkpoint_of(log: Log, brought: str | None, key: Key) -> Checkpoint:
    """Return the checkpoint that the export brought along. It is of all lines: an export ends where it was sealed."""
    if brought is None:
        raise Unreadable("the export brings no checkpoint along: name one with --checkpoint")
    checkpoint = read_checkpoint(brought, key)
    if checkpoint.size < log.lines:
        raise Unreadable(
            f"the checkpoint in the export is of {checkpoint.size} events only: name one with --checkpoint"
        )
    if log.lines and log.lines == checkpoint.size:
        log.roots[log.lines] = root_of(log.nodes)
    return checkpoint


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="registry-audit", description="Verify the audit log of a model registry.")
    command = parser.add_subparsers(required=True).add_parser("verify", help="verify an export offline")
    command.add_argument("--jsonl", required=True, metavar="F", help="the export, gzip or not; - for standard input")
    command.add_argument("--checkpoint", metavar="N", help="the checkpoint; without it the one that ends the export")
    command.add_argument("--key", required=True, metavar="K", help="the log's public key, or a file with it")
    command.add_argument("--previous", metavar="OLD", action="append", default=[], help="a checkpoint kept; repeatable")
    command.add_argument("--receipts", metavar="R", help="a file of receipts, stream/seq/hash")
    command.add_argument("--json", action="store_true", help="report as JSON")
    return parser


def main(given: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code. A report that cannot be written leaves no verdict."""
    options = arguments().parse_args(given)
    try:
        return answer(options)
    except (Unreadable, OSError, EOFError, zlib.error) as error:
        show(json.dumps({"error": str(error)}) if options.json else f"CANNOT VERIFY: {error}", sys.stderr)
        return UNREADABLE


def answer(options: argparse.Namespace) -> int:
    """Verify, print the report, and return the exit code."""
    try:
        report = verify(options)
    except Unsigned as error:
        unsigned = asdict(Divergence("signature", str(error)))
        said = {"verified": False, "first_divergence": unsigned, "divergences": [unsigned]}
        show(json.dumps(said, indent=2) if options.json else f"DIVERGENCE of the checkpoints: {error} [signature]")
        return DIVERGENCE
    show(json.dumps(asdict(report), indent=2) if options.json else str(report))
    return VERIFIED if report.verified else DIVERGENCE


def show(text: str, to: TextIO | None = None) -> None:
    """Print what may hold anything that a file had in it, so that a terminal only shows it."""
    plain = re.sub(r"[^\n -~]", lambda found: found[0].encode("unicode_escape").decode(), text)
    try:
        print(plain, file=to, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing more is tried at the end
        raise


if __name__ == "__main__":
    sys.exit(main())
