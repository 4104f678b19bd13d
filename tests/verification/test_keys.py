"""A log that was signed with several keys, one after the other: where the directory of a sealer was lost."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from registry.ledger.merkle import Frontier
from registry.ledger.note import Checkpoint, NoteError, Signer, Verifier
from registry.sealer.seals import Refusal
from registry.sealer.store import Store
from registry.verification.keys import Keys
from tests.sealer.logs import CONTEXT
from tests.verification.registries import Registry

EPOCH = "model-registry/audit/2"


@dataclass
class Lost:
    """A registry that goes on under another key; `kept`: a checkpoint of before, kept elsewhere."""

    registry: Registry
    old: Signer
    kept: str

    @property
    def both(self) -> list[str]:
        """The keys, the latest first."""
        return [self.registry.key, str(self.old.verifier)]


@pytest.fixture
def lost(registry: Registry, tmp_path: Path) -> Lost:
    old, made = Store.of(registry.settings).open_key()
    assert not made
    kept = registry.notes()[-1]
    shutil.rmtree(registry.directory)
    other = Registry(registry.url, tmp_path / "another")
    with pytest.raises(Refusal):
        other.seal()
    with other.sealer() as sealer:
        sealer.new_epoch(CONTEXT)
    other.seal()
    return Lost(other, old, kept)


def test_with_the_keys_of_before_all_of_it_is_verified(lost: Lost) -> None:
    report = lost.registry.check(lost.kept, keys=lost.both)

    assert report.first_divergences == []
    assert report.origin == EPOCH


def test_without_them_what_they_signed_is_named(lost: Lost) -> None:
    report = lost.registry.check()

    assert set(report.divergences) == {"checkpoints"}
    assert all("has not signed this" in one.what for one in report.first_divergences)


def test_a_key_that_was_replaced_signs_no_more(lost: Lost) -> None:
    """Who finds it could sign what the database has been changed to."""
    tree = Frontier()
    for _, leaf in lost.registry.ask("SELECT position, leaf FROM audit.seal ORDER BY position"):
        tree.append(bytes(leaf))
    forged = lost.old.sign(Checkpoint(EPOCH, tree.size, tree.root()))

    report = lost.registry.check(forged, keys=lost.both)

    assert report.divergences == {"checkpoints": 1}
    assert lost.old.verifier.key_id.hex() in report.first_divergences[0].what
    assert "replaced" in report.first_divergences[0].what


def test_their_order_counts(lost: Lost) -> None:
    assert lost.registry.check(keys=lost.both[::-1]).divergences == {"checkpoints": 1}


def test_keys_are_of_one_log_and_named_once() -> None:
    one, another = (Signer("log", Ed25519PrivateKey.generate()).verifier for _ in range(2))

    assert Keys([one, another]).name == "log"
    for wrong in ([], [one, one], [one, Verifier("another", another.public)]):
        with pytest.raises(NoteError):
            Keys(wrong)
