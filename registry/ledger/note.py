"""Signed notes and checkpoints, read strictly and written. Sources: c2sp.org/signed-note, c2sp.org/tlog-checkpoint.

A checkpoint is the text `origin, size, root`, a line each; a note is a text with signatures under it. Only Ed25519
(signature type 1) is known here; signatures of other keys, of witnesses for instance, are passed over.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from registry.ledger.merkle import HASH_BYTES, LARGEST_SIZE

ED25519 = b"\x01"
KEY_BYTES = 32
KEY_ID_BYTES = 4
DASH = "\u2014 "
LONGEST_NOTE = 256 * 1024
"""Characters. The specification wants 16 signatures accepted, each up to nearly 5 kB."""


class NoteError(ValueError):
    """A text is no note, checkpoint or key, or no signature under it counts; the text says why."""


class NotSigned(NoteError):
    """There is no signature of the key."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One line under a note: who claims to have signed, with which key, and the signature itself."""

    name: str
    key_id: bytes
    value: bytes

    def __str__(self) -> str:
        return f"{DASH}{self.name} {base64.b64encode(self.key_id + self.value).decode()}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text, its last newline included, and the signatures under it, none of them verified."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return self.text + "\n" + "".join(map(str, self.signatures))

    @classmethod
    def parse(cls, written: str) -> Self:
        """Read a note.

        :raises NoteError: it is none.
        """
        _refuse_control_characters(written)
        text, separator, under = written.rpartition("\n\n")
        if not separator or not under.endswith("\n"):
            raise NoteError("a note is a text, an empty line, and signature lines, with a newline at the end")
        return cls(text + "\n", tuple(map(_signature, under[:-1].split("\n"))))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log commits to: under its `origin`, the first `size` events have this `root`."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __str__(self) -> str:
        root = base64.b64encode(self.root).decode()
        return "".join(f"{line}\n" for line in (self.origin, self.size, root, *self.extensions))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a checkpoint.

        :raises NoteError: it is none.
        """
        _refuse_control_characters(text)
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop() != "" or not all(lines):  # noqa: PLR2004 (three lines, and what follows the last newline)
            raise NoteError("a checkpoint has the lines origin, size and root, none empty, with a newline at the end")
        origin, size, root, *extensions = lines
        return cls(origin, _size(size), _bytes(root, HASH_BYTES), tuple(extensions))


@dataclass(frozen=True, slots=True)
class Verifier:
    """The public half of a key, under the name of whoever signs with it."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that tell keys of one name apart."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key from `name+id+base64`.

        :raises NoteError: it is none, or not of Ed25519.
        """
        name, _, rest = text.partition("+")
        key_id, _, encoded = rest.partition("+")
        key = _bytes(encoded, 1 + KEY_BYTES)
        if not _is_name(name) or key[:1] != ED25519:
            raise NoteError("a key is written name+id+base64, and is an Ed25519 key")
        read = cls(name, key[1:])
        if read.key_id.hex() != key_id:
            raise NoteError(f"the key says its id is {key_id}, but it is {read.key_id.hex()}")
        return read

    def open(self, written: str) -> Checkpoint:
        """Return the checkpoint that this key has signed.

        :raises NoteError: it is no signed checkpoint, or this key has not signed it, or has signed something else.
        """
        note = Note.parse(written)
        signed = [line.value for line in note.signatures if (line.name, line.key_id) == (self.name, self.key_id)]
        if not signed:
            raise NotSigned(f"{self.name}, key {self.key_id.hex()}, has not signed this")
        for value in signed:
            self._verify(note.text, value)
        return Checkpoint.parse(note.text)

    def _verify(self, text: str, signature: bytes) -> None:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            raise NoteError(f"the signature of {self.name} does not belong to this text") from None


class Signer:
    """A private key and the name it signs under."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        if not _is_name(name):
            raise NoteError(f"{name!r} cannot be the name of a key: no spaces, no plus, not empty")
        self._private = private
        self.verifier = Verifier(name, private.public_key().public_bytes_raw())

    def sign(self, checkpoint: Checkpoint) -> str:
        """Return the checkpoint as a note under one signature.

        :raises NoteError: the checkpoint is not one that could be read again.
        """
        text = str(checkpoint)
        if Checkpoint.parse(text) != checkpoint:
            raise NoteError("the checkpoint cannot be written so that it would be read as it is")
        name, key_id = self.verifier.name, self.verifier.key_id
        return str(Note(text, (Signature(name, key_id, self._private.sign(text.encode())),)))


def _refuse_control_characters(text: str) -> None:
    if len(text) > LONGEST_NOTE:
        raise NoteError(f"a note has at most {LONGEST_NOTE} characters")
    if re.search(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]", text):
        raise NoteError("a note has no control characters other than newline, and is valid UTF-8")


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(DASH).partition(" ")
    value = _bytes(encoded)
    if not line.startswith(DASH) or not _is_name(name) or len(value) <= KEY_ID_BYTES:
        raise NoteError("a signature line is an em dash, a name and a signature in base64, with a space between them")
    return Signature(name, value[:KEY_ID_BYTES], value[KEY_ID_BYTES:])


def _size(text: str) -> int:
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", text) or int(text) > LARGEST_SIZE:
        raise NoteError("the size of a checkpoint is a decimal number without leading zeros")
    return int(text)


def _bytes(text: str, count: int | None = None) -> bytes:
    """Read base64 as it would be written: of texts that mean the same bytes, only one counts."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError("not standard base64") from None
    if base64.b64encode(value).decode() != text or (count is not None and len(value) != count):
        raise NoteError("not standard base64 of the right length")
    return value


def _is_name(name: str) -> bool:
    return re.fullmatch(r"[^\s+\x00-\x1f\ud800-\udfff]+", name) is not None
