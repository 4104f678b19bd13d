"""A log that was signed with several keys, one after the other: where the directory of a sealer was lost."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from registry.ledger.merkle import Frontier
from registry.ledger.note import Checkpoint, Note, NoteError, Signature, Signer, Verifier
from registry.sealer.seals import Refusal
from registry.sealer.store import Store
from registry.verification.keys import Keys
from tests.sealer.logs import CONTEXT
from tests.verification.registries import Registry

ORIGIN = "model-registry/audit"
EPOCH = f"{ORIGIN}/2"


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


def forged(lost: Lost, origin: str) -> str:
    """What the old key signs for who has found it: all that the database holds now."""
    tree = Frontier()
    for _, leaf in lost.registry.ask("SELECT position, leaf FROM audit.seal ORDER BY position"):
        tree.append(bytes(leaf))
    return lost.old.sign(Checkpoint(origin, tree.size, tree.root()))


@pytest.mark.parametrize(("origin", "said"), [(EPOCH, "had been replaced"), (ORIGIN, "had ended")])
def test_a_key_that_was_replaced_signs_no_more(lost: Lost, origin: str, said: str) -> None:
    """Who finds it could sign what the database has been changed to, for its own epoch as well."""
    first = min(size for (size,) in lost.registry.ask(f"SELECT size FROM audit.checkpoint WHERE origin = '{EPOCH}'"))
    lost.registry.silently(f"DELETE FROM audit.checkpoint WHERE size > {first}")

    report = lost.registry.check(forged(lost, origin), keys=lost.both)

    assert report.divergences == {"checkpoints": 1}
    assert said in report.first_divergences[0].what


def test_the_latest_key_has_signed_something(lost: Lost) -> None:
    """Or who has the old one could take away whatever the new one signed, and the event of its beginning."""
    lost.registry.silently(f"DELETE FROM audit.checkpoint WHERE origin = '{EPOCH}'")

    report = lost.registry.check(forged(lost, ORIGIN), keys=lost.both)

    assert any(one.what == "the latest of the keys has signed nothing" for one in report.first_divergences)


def test_a_false_signature_of_one_key_is_not_made_good_by_another(lost: Lost) -> None:
    latest, old = (Verifier.parse(key) for key in lost.both)
    note = Note.parse(lost.kept)
    false = Note(note.text, (*note.signatures, Signature(latest.name, latest.key_id, bytes(64))))

    assert Keys([latest, old]).open(lost.kept)[1] == 1
    with pytest.raises(NoteError, match="does not belong"):
        Keys([latest, old]).open(str(false))


def test_their_order_counts(lost: Lost) -> None:
    assert lost.registry.check(keys=lost.both[::-1]).divergences == {"checkpoints": 1}


def test_keys_are_of_one_log_and_named_once() -> None:
    one, another = (Signer("log", Ed25519PrivateKey.generate()).verifier for _ in range(2))

    assert Keys([one, another]).name == "log"
    for wrong in ([], [one, one], [one, Verifier("another", another.public)]):
        with pytest.raises(NoteError):
            Keys(wrong)
