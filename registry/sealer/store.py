"""What the sealer keeps for itself, in a directory apart from the database: its key, and what it signed last.

A sealer that asked the database what it had signed could be talked into signing a rewritten history. All is written
so that a crash leaves either the old or the new, and a lock makes sure that one process at a time uses the directory.
"""

import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from registry.config import Settings
from registry.ledger.merkle import Frontier, MerkleError
from registry.ledger.note import NoteError, Signer
from registry.sealer import place
from registry.sealer.errors import StoreError
from registry.sealer.place import PUBLIC

KEY, STATE, CHECKPOINT, LOCK = "key.pem", "state.json", "checkpoint", "lock"
SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True)
class State:
    """What was signed last, and the tree at that point. `last_event` and `last_leaf` stand at the last position."""

    origin: str
    epoch: int = 1
    tree: Frontier = field(default_factory=Frontier)
    last_event: int | None = None
    last_leaf: str = ""
    note: str = ""

    @property
    def epoch_origin(self) -> str:
        """The origin as it stands in checkpoints: each epoch after the first adds its number."""
        return self.origin if self.epoch == 1 else f"{self.origin}/{self.epoch}"

    def grown(self, leaves: Iterable[tuple[int, bytes]]) -> "State":
        """Return the state with these events, `(id, leaf hash)`, at the next positions; it is not signed yet."""
        tree, event, leaf = self.tree.copy(), self.last_event, bytes.fromhex(self.last_leaf)
        for event, leaf in leaves:  # noqa: B007 (the last ones are kept)
            tree.append(leaf)
        return replace(self, tree=tree, last_event=event, last_leaf=leaf.hex(), note="")


class Store:
    """The directory of one sealer."""

    def __init__(self, directory: Path, origin: str) -> None:
        self._directory = directory
        self._origin = origin

    @classmethod
    def of(cls, settings: Settings) -> "Store":
        """Return the one that the settings name."""
        return cls(place.directory(settings), settings.audit_origin)

    @contextmanager
    def alone(self, *, wait: Callable[[], bool]) -> Iterator[bool]:
        """Have the directory alone, waiting as long as `wait()` is true; yield whether that is so.

        :raises StoreError: the directory cannot be written.
        """
        self._make()
        with (self._directory / LOCK).open("a") as file:
            while not (ours := _locked(file.fileno())) and wait():
                time.sleep(SECONDS_BETWEEN_LOOKS)
            yield ours

    def open_key(self) -> tuple[Signer, bool]:
        """Return the key, and whether it was made just now.

        :raises StoreError: it cannot be read or written, or is of a log with another name.
        """
        self._make()
        path = self._directory / KEY
        made = not path.exists()
        if made:
            self._make_key(path)
        signer = self._read_key(path)
        self._write(PUBLIC, f"{signer.verifier}\n".encode())
        return signer, made

    def public_key(self) -> str | None:
        """Return the public key as auditors take it, if there is one yet."""
        return place.public_key(self._directory)

    def load(self) -> State | None:
        """Return what was signed last, or None at the first start.

        :raises StoreError: it cannot be read, or is of a log with another name.
        """
        path = self._directory / STATE
        try:
            kept = json.loads(path.read_text())
            state = State(**(kept | {"tree": Frontier.parse(kept["tree"])}))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, MerkleError) as error:
            raise StoreError(f"{path} cannot be read ({error}): bring it back from a backup.") from None
        if state.origin != self._origin:
            raise StoreError(f"REGISTRY_AUDIT_ORIGIN={self._origin}, but {path} is of {state.origin}: set it so again.")
        return state

    def save(self, state: State) -> None:
        """Keep what is signed from now on."""
        text = json.dumps(asdict(state) | {"tree": state.tree.serialise()}, indent=1)
        self._write(STATE, text.encode())

    def publish(self, state: State) -> None:
        """Put the checkpoint where a person or a job finds it, to keep copies elsewhere."""
        self._write(CHECKPOINT, state.note.encode())

    def _make(self) -> None:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            problem = None if os.access(self._directory, os.W_OK | os.X_OK) else "Permission denied"
        except OSError as error:
            problem = error.strerror or str(error)
        if problem:
            raise StoreError(
                f"The sealer's directory {self._directory} cannot be written ({problem}): "
                "set REGISTRY_SEALER_DIR to one that can, or REGISTRY_SEALER=off."
            )

    def _make_key(self, path: Path) -> None:
        """Make a key, unless what was signed with another one is still here."""
        if (self._directory / STATE).exists():
            raise StoreError(f"{path} is gone, but what it signed is known here: bring it back from a backup.")
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._write(KEY, pem)

    def _read_key(self, path: Path) -> Signer:
        try:
            key = load_pem_private_key(path.read_bytes(), None)
            if not isinstance(key, Ed25519PrivateKey):
                raise StoreError(f"{path} is no Ed25519 key: bring back the one that was there.")
            return Signer(self._origin, key)
        except (OSError, ValueError, TypeError, NoteError) as error:
            why = re.sub(r"\s+", " ", str(error))
            raise StoreError(f"{path} cannot be read ({why}): bring back the key that was there.") from None

    def _write(self, name: str, content: bytes) -> None:
        """Replace a file in one step that a power cut cannot halve."""
        new = self._directory / f"{name}.new"
        try:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            new.replace(self._directory / name)
            _sync_directory(self._directory)
        except OSError as error:
            raise StoreError(f"{self._directory / name} cannot be written ({error.strerror}).") from None


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
