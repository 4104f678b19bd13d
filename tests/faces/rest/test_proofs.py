"""Checkpoints and proofs over HTTP: each holds against what was signed, and none holds for anything else."""

import random
from typing import Any

import pytest
from sqlalchemy import text

from bench.statements import counted
from registry.ledger import merkle
from registry.ledger.merkle import verify_consistency, verify_inclusion
from tests.faces.rest.conftest import Sealed
from tests.sealer.logs import grow

AUDIT = "/api/v1/audit"


def proof(answer: dict[str, Any]) -> list[bytes]:
    return [bytes.fromhex(one) for one in answer["proof"]]


def fill(sealed: Sealed, size: int) -> list[bytes]:
    """A log of leaves alone, as if it had been sealed; return them. Events of the same ids do not exist."""
    with sealed.place.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        fill = "INSERT INTO audit.seal SELECT n, n, sha256(int8send(n)) FROM generate_series(0, :last) n"
        connection.execute(text(fill), {"last": size - 1})
        connection.execute(text("INSERT INTO audit.checkpoint VALUES ('o', :size, 'note')"), {"size": size})
        grow(connection, size)
    return sealed.leaves()


def test_a_checkpoint_is_the_note_that_was_signed(sealed: Sealed) -> None:
    sealed.write(3)
    sealed.seal()
    sealed.write(4, "Other")
    sealed.seal()
    notes = sealed.place.notes()
    answer = sealed.client.get(f"{AUDIT}/checkpoint")
    assert (answer.text, answer.headers["Content-Type"]) == (notes[1], "text/plain; charset=utf-8")
    assert sealed.open(answer.text).size == 7
    assert sealed.client.get(f"{AUDIT}/checkpoint?size=3").text == notes[0]
    refused = sealed.client.get(f"{AUDIT}/checkpoint?size=5")
    assert refused.status_code == 404
    assert "the latest is of 7 events" in refused.get_json()["detail"]


@pytest.mark.parametrize("path", ["checkpoint", "proof/0", "consistency?from=1"])
def test_before_anything_was_signed_there_is_nothing_to_prove(sealed: Sealed, path: str) -> None:
    sealed.write()
    refused = sealed.client.get(f"{AUDIT}/{path}")
    assert refused.status_code == 404
    assert "No checkpoint of the audit log was signed yet" in refused.get_json()["detail"]


def test_every_event_of_a_small_log_is_proven_at_every_size(sealed: Sealed) -> None:
    sealed.write(20)
    sealed.seal()
    leaves = sealed.leaves()
    root = sealed.open(sealed.client.get(f"{AUDIT}/checkpoint").text).root
    for size in range(1, 21):
        for position in range(size):
            answer = sealed.client.get(f"{AUDIT}/proof/{position}?size={size}").get_json()
            assert proof(answer) == merkle.inclusion_proof(leaves, position, size)
            assert answer["leaf"] == leaves[position].hex()
            assert (answer["position"], answer["size"]) == (position, size)
            assert (answer["checkpoint"] is None) == (size < 20)
    answer = sealed.client.get(f"{AUDIT}/proof/7").get_json()
    checkpoint = sealed.open(answer["checkpoint"])
    assert verify_inclusion(leaves[7], 7, checkpoint.size, proof(answer), checkpoint.root)
    assert not verify_inclusion(leaves[8], 7, 20, proof(answer), root)
    assert not verify_inclusion(leaves[7], 8, 20, proof(answer), root)
    assert not verify_inclusion(leaves[7], 7, 16, proof(answer), root)
    assert not verify_inclusion(leaves[7], 7, 20, proof(answer)[::-1], root)


def test_every_earlier_log_is_proven_to_be_the_beginning(sealed: Sealed) -> None:
    sealed.write(20)
    sealed.seal()
    leaves = sealed.leaves()
    roots = [merkle.range_hash(leaves[:size]) for size in range(21)]
    for second in range(1, 21):
        for first in range(second + 1):
            answer = sealed.client.get(f"{AUDIT}/consistency?from={first}&to={second}").get_json()
            assert verify_consistency(first, second, roots[first], roots[second], proof(answer))
            assert first == 0 or not verify_consistency(first, second, roots[first], bytes(32), proof(answer))
    answer = sealed.client.get(f"{AUDIT}/consistency?from=9").get_json()
    assert (answer["from_size"], answer["size"]) == (9, 20)
    assert sealed.open(answer["checkpoint"]).root == roots[20]
    assert not verify_consistency(9, 20, roots[8], roots[20], proof(answer))


def test_proofs_of_a_large_log_are_those_of_its_leaves(sealed: Sealed) -> None:
    leaves = fill(sealed, 70_000)
    chance = random.Random(1)
    for size in [255, 256, 257, 65_535, 65_536, 65_537, 70_000, *(chance.randrange(1, 70_000) for _ in range(3))]:
        position = chance.randrange(size)
        answer = sealed.client.get(f"{AUDIT}/proof/{position}?size={size}").get_json()
        assert proof(answer) == merkle.inclusion_proof(leaves, position, size)
        answer = sealed.client.get(f"{AUDIT}/consistency?from={position + 1}&to={size}").get_json()
        assert proof(answer) == merkle.consistency_proof(leaves, position + 1, size)


def test_a_proof_takes_four_statements_however_long_the_log_is(sealed: Sealed) -> None:
    fill(sealed, 66_000)
    with counted() as sent:
        assert sealed.client.get(f"{AUDIT}/proof/12345").status_code == 200
    assert len(sent) == 4  # the latest checkpoint, leaves, subtrees, the checkpoint of that size


def test_without_the_hashes_there_is_no_wrong_proof(sealed: Sealed) -> None:
    fill(sealed, 600)
    with sealed.place.engine.begin() as connection:
        connection.execute(text("DELETE FROM audit.subtree"))
    refused = sealed.client.get(f"{AUDIT}/proof/0")
    assert refused.status_code == 503
    assert "the sealer completes them" in refused.get_json()["detail"]


REFUSED = [
    ("proof/5", 404, "There is no position 5 among the first 5 events"),
    ("proof/4?size=4", 404, "There is no position 4 among the first 4 events"),
    ("proof/0?size=6", 409, "A log of 6 events was not signed yet: the latest checkpoint is of 5."),
    (f"proof/{2**70}", 404, "There is no position"),
    ("proof/0?size=0", 400, "size"),
    (f"proof/0?size={2**63}", 400, "size"),
    ("proof/-1", 404, "There is nothing at"),
    ("proof/x", 404, "There is nothing at"),
    ("consistency", 400, "from"),
    ("consistency?from=6", 409, "A log of 6 events was not signed yet"),
    ("consistency?from=1&to=6", 409, "A log of 6 events was not signed yet"),
    ("consistency?from=3&to=2", 400, "A log of 3 events is no beginning of one of 2."),
    ("consistency?from=-1", 400, "from"),
    (f"checkpoint?size={2**63}", 400, "size"),
    ("checkpoint?size=6", 404, "the latest is of 5 events"),
]


@pytest.mark.parametrize(("path", "status", "said"), REFUSED)
def test_what_cannot_be_proven_is_refused_with_the_reason(sealed: Sealed, path: str, status: int, said: str) -> None:
    sealed.write(5)
    sealed.seal()
    refused = sealed.client.get(f"{AUDIT}/{path}")
    assert refused.status_code == status
    assert said in refused.get_json()["detail"]


def test_after_a_restore_the_new_epoch_is_the_latest(sealed: Sealed) -> None:
    sealed.write(5)
    sealed.seal()
    sealed.place.tamper(
        "DELETE FROM audit.checkpoint",
        "DELETE FROM audit.seal WHERE position >= 3",
        "DELETE FROM audit.event WHERE id > 3",
    )
    with sealed.place.sealer() as sealer:
        sealer.new_epoch({"actor": "operator", "credential": "", "request_id": "r", "reason": "the disk died"})
    checkpoint = sealed.open(sealed.client.get(f"{AUDIT}/checkpoint").text)
    assert (checkpoint.origin, checkpoint.size) == ("model-registry/audit/2", 4)
    answer = sealed.client.get(f"{AUDIT}/proof/3").get_json()
    assert verify_inclusion(bytes.fromhex(answer["leaf"]), 3, 4, proof(answer), checkpoint.root)
