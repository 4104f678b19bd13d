"""`registry audit verify --db` and `registry audit erase`, as somebody types them."""

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from registry.ledger.note import Signer
from tests.cli.conftest import Done, Run
from tests.cli.running import environment
from tests.verification.registries import Registry


class Typed:
    """Commands on one registry's database."""

    def __init__(self, run: Run, registry: Registry) -> None:
        self._run = run
        self.registry = registry

    def __call__(self, *words: str | int, typed: str | None = None, **environ: str) -> Done:
        where = {"REGISTRY_DATABASE_URL": self.registry.url, "REGISTRY_SEALER_DIR": str(self.registry.directory)}
        return self._run("audit", *words, typed=typed, **(where | environ))


@pytest.fixture
def audit(bare: Run, empty_database_url: str, tmp_path: Path) -> Typed:
    registry = Registry(empty_database_url, tmp_path / "sealer")
    registry.live()
    return Typed(bare, registry)


def test_a_whole_log_is_verified_in_words_and_as_json(audit: Typed) -> None:
    done = audit("verify", "--db")
    assert (done.code, done.out.splitlines()[-1].partition(":")[0]) == (0, "VERIFIED")
    assert "64 events" not in done.err
    report = audit("verify", "--db", "--json").json
    assert report["verified"] is True
    assert report["first_divergence"] is None
    assert report["rows"]["model_versions"] == 4


def test_a_divergence_is_named_and_ends_with_1(audit: Typed) -> None:
    audit.registry.silently("UPDATE registry.aliases SET number = 1 WHERE alias = 'champion'")
    done = audit("verify", "--db")
    assert done.code == 1
    assert (
        "DIVERGENCE at aliases (model_id=1, alias=champion), field number: the table has 1, the log has 3" in done.out
    )
    assert done.out.splitlines()[-1] == "NOT VERIFIED: 1 replay"
    first = audit("verify", "--db", "--json").json["first_divergence"]
    assert (first["table"], first["key"], first["field"]) == (
        "aliases", {"model_id": 1, "alias": "champion"}, "number",
    )  # fmt: skip


def test_a_report_that_cannot_be_written_is_no_verdict(audit: Typed) -> None:
    where = {"REGISTRY_DATABASE_URL": audit.registry.url, "REGISTRY_SEALER_DIR": str(audit.registry.directory)}
    command = [sys.executable, "-m", "registry", "audit", "verify", "--db"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, env=environment(**where), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "No space left" in done.stderr


def test_the_last_good_checkpoint_is_kept_and_never_replaced_on_failure(audit: Typed, tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    assert audit("verify", "--db", "--keep", str(keep)).code == 0
    kept = keep.read_text()
    assert kept == audit.registry.notes()[-1]
    audit.registry.go_on()
    audit.registry.seal()
    audit.registry.silently(
        "DELETE FROM audit.checkpoint", "UPDATE audit.seal SET leaf = sha256('x') WHERE position = 3"
    )
    assert audit("verify", "--db", "--keep", str(keep)).code == 1
    assert keep.read_text() == kept
    assert audit("verify", "--db", "--previous", str(keep)).code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["verify"], "registry-audit"),
        (["verify", "--db", "--key", "nonsense"], "The key is none"),
        (["verify", "--db", "--previous", "/no/such/file"], "does not exist"),
        (["verify", "--db", "--previous", __file__], "is none that can be used"),
    ],
)
def test_what_cannot_be_verified_ends_with_2(audit: Typed, words: list[str], said: str) -> None:
    done = audit(*words)
    assert (done.code, said in done.err) == (2, True), done.err
    assert "Traceback" not in done.err


def test_a_database_that_is_not_there_ends_with_2(audit: Typed) -> None:
    done = audit("verify", "--db", REGISTRY_DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    assert done.code == 2
    assert "cannot be reached" in done.err


def test_without_a_key_no_checkpoint_counts(audit: Typed, tmp_path: Path) -> None:
    done = audit("verify", "--db", REGISTRY_SEALER_DIR=str(tmp_path / "elsewhere"))
    assert done.code == 1
    assert "--key" in done.err
    assert audit("verify", "--db", "--key", audit.registry.key, REGISTRY_SEALER_DIR=str(tmp_path / "no")).code == 0


def test_several_keys_are_those_of_one_log(audit: Typed, tmp_path: Path) -> None:
    another = tmp_path / "another.vkey"
    another.write_text(f"{Signer('model-registry/audit', Ed25519PrivateKey.generate()).verifier}\n")

    assert audit("verify", "--db", "--key", audit.registry.key, "--key", str(another)).code == 0
    assert audit("verify", "--db", "--key", str(another), "--key", audit.registry.key).code == 1
    twice = audit("verify", "--db", "--key", audit.registry.key, "--key", audit.registry.key)
    assert (twice.code, "named once" in twice.err) == (2, True)


def test_a_text_is_erased_after_a_question(audit: Typed) -> None:
    assert audit("erase", "--comment", 1, "--basis", "article 17", typed="n\n").code == 130
    assert audit.registry.ask("SELECT count(*) FROM audit.event WHERE action = 'audit.erase'") == [(0,)]
    done = audit("erase", "--comment", 1, "--basis", "article 17", typed="y\n")
    assert done.code == 0, done.err
    assert "docs/audit.md" in done.err
    assert "Erased: 4 texts in the log, 1 of a row, 0 kept answers." in done.err
    assert audit("verify", "--db").code == 0


def test_each_kind_of_text_can_be_named(audit: Typed) -> None:
    [(stream, seq)] = audit.registry.ask(
        "SELECT stream, seq FROM audit.event WHERE body LIKE '%\"reason\": {%' LIMIT 1"
    )
    for what in (
        ["--model-description", "swindle"],
        ["--version-description", "swindle", 1],
        ["--reason", f"{stream}/{seq}"],
    ):
        done = audit("erase", *what, "--basis", "article 17", "--yes")
        assert done.code == 0, done.err
        assert audit("erase", *what, "--basis", "article 17", "--yes").code == 4
    audit.registry.seal()
    assert audit("verify", "--db").code == 0


@pytest.mark.parametrize(
    "words",
    [
        ["--basis", "b"],
        ["--comment", 1],
        ["--comment", 1, "--reason", "model:1/1", "--basis", "b"],
        ["--reason", "nonsense", "--basis", "b", "--yes"],
    ],
)
def test_wrong_use_says_what_to_do(audit: Typed, words: list[str | int]) -> None:
    done = audit("erase", *words)
    assert done.code == 2
    assert "Error" in done.err


def test_the_list_goes_on_as_before_and_names_the_commands(run: Run, model: str) -> None:
    assert "registered_model.create" in run("audit", model).out
    usage = run("audit", "--help").out
    assert "verify" in usage
    assert "erase" in usage
    assert "Usage: registry audit erase" in run("audit", "erase", "--help").out
    assert run("audit", "--", "verify").code == 4  # a model of this name, which there is not
