"""The auditor's program: it accepts an honest log and names the first thing that is wrong with any other."""

import ast
import base64
import gzip
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from registry.ledger import merkle, verify
from registry.ledger.note import NoteError, Signer, Verifier
from tests.ledger.logs import ORIGIN, SIGNER, Given, at_line, event, events, receipt, rechained, signed

LINES = events(40)
CHECKPOINT = signed(LINES)
KEPT = signed(LINES[:25])


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Verify and return the exit code and the JSON report."""

    def verified(lines: list[bytes] = LINES, checkpoint: str = CHECKPOINT, **more: Any) -> tuple[int, dict[str, Any]]:
        code = verify.main([*Given(tmp_path, lines, checkpoint, **more).arguments(), "--json"])
        said = capsys.readouterr()
        return code, json.loads(said.out or said.err)

    return verified


Run = Callable[..., tuple[int, dict[str, Any]]]


def place(report: dict[str, Any]) -> tuple[Any, ...]:
    found = report["first_divergence"]
    return found["line"], found["position"], found["stream"], found["seq"]


def test_an_honest_log_is_verified(run: Run) -> None:
    code, report = run(previous=[KEPT], receipts=[receipt(LINES[3]), receipt(LINES[39])])
    assert (code, report["verified"], report["first_divergence"], report["divergences"]) == (0, True, None, [])
    assert (report["lines"], report["size"], report["not_yet_sealed"], report["streams"]) == (40, 40, 0, 2)
    assert (report["origin"], report["previous"], report["receipts"]) == (ORIGIN, [25], 2)


def test_people_are_told_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(Given(tmp_path, LINES, CHECKPOINT, [KEPT]).arguments()) == 0
    said = capsys.readouterr().out
    assert "VERIFIED" in said
    assert "consistent" not in said
    assert "previous  25" in said
    assert verify.main(Given(tmp_path, [*LINES[:6], LINES[5], *LINES[6:]], CHECKPOINT).arguments()) == 1
    said = capsys.readouterr().out
    assert "VERIFIED" not in said
    assert "DIVERGENCE at line 7, position 6 in model:2 seq 4" in said


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9, 40])
def test_lines_beyond_the_checkpoint_are_told_apart(run: Run, count: int) -> None:
    code, report = run(checkpoint=signed(LINES[:count]), previous=[signed(LINES[:half]) for half in range(count)])
    assert code == 0
    assert (report["size"], report["not_yet_sealed"]) == (count, 40 - count)


def test_a_fault_among_lines_not_yet_sealed_is_found_and_said_to_be_there(run: Run) -> None:
    code, report = run([*LINES[:36], *LINES[37:]], signed(LINES[:30]))
    assert code == 1
    assert report["first_divergence"]["what"].endswith("among the lines not yet sealed")
    assert place(report)[:2] == (39, 38)


def test_gzip_and_standard_input_are_read(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = b"".join(line + b"\n" for line in LINES)
    assert run(raw=gzip.compress(plain))[0] == 0
    command = Given(tmp_path, LINES, CHECKPOINT).arguments()
    for sent in (plain, gzip.compress(plain)):
        stdin = io.BufferedReader(io.BytesIO(sent))
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=stdin))
        assert verify.main(["-" if part.endswith("log.jsonl") else part for part in command]) == 0


def test_the_checkpoint_may_end_the_export(run: Run) -> None:
    trailer = json.dumps({"checkpoint": CHECKPOINT}).encode()
    assert run([*LINES, trailer], "")[0] == 0
    assert run([*LINES, trailer])[0] == 0
    assert run([*LINES, trailer], previous=[KEPT])[0] == 0
    code, report = run([*LINES[:-1], trailer], "")
    assert (code, place(report)[:2]) == (1, (40, 39))
    code, report = run([*LINES[:30], trailer, *LINES[30:]], "")
    assert code == 1
    assert any(found["what"] == "lines follow the checkpoint" for found in report["divergences"])
    assert run(LINES, "")[0] == 2
    assert run([*LINES, json.dumps({"checkpoint": KEPT}).encode()], "")[0] == 2
    assert run([*LINES, b'{"checkpoint": 7'], "")[0] == 2
    assert run([*LINES, b'{"checkpoint": {}}'], "")[0] == 2


def edited(line: bytes) -> bytes:
    return line.replace(b"Staging", b"Archived")


def with_line(number: int, line: bytes) -> list[bytes]:
    return [*LINES[: number - 1], line, *LINES[number:]]


def following(number: int) -> int:
    """The number of the next line of the same stream."""
    stream = json.loads(LINES[number - 1])["stream"]
    return next(n for n in range(number + 1, 41) if json.loads(LINES[n - 1])["stream"] == stream)


def test_one_field_of_one_event_changed(run: Run) -> None:
    """The line itself looks right; the next one of its stream names the hash of what was there."""
    code, report = run(with_line(10, edited(LINES[9])))
    assert (code, place(report)) == (1, at_line(LINES[following(10) - 1], following(10)))
    assert "(line 10)" in report["first_divergence"]["what"]
    assert {found["check"] for found in report["divergences"]} == {"streams", "root"}


def test_the_last_event_of_a_stream_changed_is_found_by_the_root(run: Run) -> None:
    code, report = run(with_line(40, edited(LINES[39])), previous=[KEPT])
    assert (code, place(report)) == (1, (26, 25, None, None))
    assert report["first_divergence"] | {"what": None} == {
        "check": "root", "what": None, "line": 26, "last_line": 40, "position": 25, "stream": None, "seq": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "rewrite",
    [
        pytest.param(lambda lines: rechained([*lines[:9], edited(lines[9]), *lines[10:]]), id="edited"),
        pytest.param(
            lambda lines: rechained([*lines[:9], *lines[10:], event_line()]), id="deleted, another at the end"
        ),
        pytest.param(lambda lines: rechained([*lines[:9], event_line(), *lines[9:-1]]), id="back-dated"),
        pytest.param(lambda lines: rechained([lines[1], lines[0], *lines[2:]]), id="swapped"),
    ],
)
def test_a_full_consistent_rewrite_is_found_by_the_root_alone(
    run: Run, rewrite: Callable[[list[bytes]], list[bytes]]
) -> None:
    code, report = run(rewrite(LINES))
    assert code == 1
    assert [found["check"] for found in report["divergences"]] == ["root"]
    assert run(rewrite(LINES), signed(rewrite(LINES)))[0] == 0, "with the key stolen, nothing is left to see ..."
    code, report = run(rewrite(LINES), signed(rewrite(LINES)), previous=[KEPT])
    assert (code, report["first_divergence"]["check"]) == (1, "consistency"), "... but for one checkpoint kept"


def event_line() -> bytes:
    return json.dumps(event("model:9", 1, "", 1_764_000_000_000_000)).encode()


@pytest.mark.parametrize("number", [1, 2, 17, 30])
def test_an_event_removed(run: Run, number: int) -> None:
    code, report = run([*LINES[: number - 1], *LINES[number:]])
    assert (code, place(report)) == (1, at_line(LINES[following(number) - 1], following(number) - 1))


@pytest.mark.parametrize("kept", [0, 1, 25, 39])
def test_a_truncated_export(run: Run, kept: int) -> None:
    code, report = run(LINES[:kept])
    assert (code, place(report)) == (1, (kept + 1, kept, None, None))
    assert f"ends after {kept} events" in report["first_divergence"]["what"]


def test_a_line_cut_in_the_middle(run: Run) -> None:
    code, report = run(raw=b"".join(line + b"\n" for line in LINES)[:-100])
    assert (code, place(report)) == (1, (40, 39, None, None))


def test_only_the_last_newline_missing_changes_no_event(run: Run) -> None:
    assert run(raw=b"\n".join(LINES))[0] == 0


@pytest.mark.parametrize("number", [1, 5, 30])
def test_a_line_twice(run: Run, number: int) -> None:
    code, report = run([*LINES[:number], LINES[number - 1], *LINES[number:]])
    assert (code, place(report)) == (1, at_line(LINES[number - 1], number + 1))


def test_lines_in_another_order(run: Run) -> None:
    other = next(n for n in range(2, 40) if json.loads(LINES[n])["stream"] != json.loads(LINES[n - 1])["stream"])
    swapped = [*LINES]
    swapped[other - 1 : other + 1] = [LINES[other], LINES[other - 1]]
    code, report = run(swapped)
    assert (code, report["first_divergence"]["check"]) == (1, "root"), "of different streams: only the root tells"
    code, report = run(LINES[::-1])
    assert (code, place(report)) == (1, at_line(LINES[39], 1))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        pytest.param(lambda line: line + b"\r", "ends in CR", id="CRLF"),
        pytest.param(lambda line: b"\xef\xbb\xbf" + line, "nothing else", id="byte order mark"),
        pytest.param(lambda line: line + b" ", "nothing else", id="space behind"),
        pytest.param(lambda line: b"", "nothing else", id="empty line"),
        pytest.param(lambda line: line.replace(b"Staging", b"Stag\xffing"), "UTF-8", id="invalid UTF-8"),
        pytest.param(lambda line: line.replace(b"Staging", b"Stag\xed\xa0\x80ing"), "UTF-8", id="surrogate"),
        pytest.param(lambda line: line.decode().encode("utf-16"), "nothing else", id="UTF-16"),
        pytest.param(lambda line: line[:-1] + b', "x": "' + b"x" * 3_000_000 + b'"}', "longer", id="3 MB line"),
        pytest.param(lambda line: b"{" + b"[" * 60_000 + b"}", "not JSON", id="brackets"),
        pytest.param(lambda line: b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "not JSON", id="deep"),
        pytest.param(lambda line: b'{"seq": ' + b"9" * 5_000 + b"}", "not JSON", id="long number"),
        pytest.param(lambda line: line + line, "no event", id="two events"),
        pytest.param(lambda line: b"{}", "no event", id="nothing in it"),
        pytest.param(lambda line: line.replace(b'"seq": ', b'"seq": 0.'), "no event", id="seq no integer"),
        pytest.param(lambda line: line.replace(b'"seq": ', b'"seq": true, "s": '), "no event", id="seq a truth"),
        pytest.param(lambda line: line.replace(b'"prev"', b'"last"'), "no event", id="no prev"),
    ],
)
def test_a_line_that_is_no_event(run: Run, spoil: Callable[[bytes], bytes], why: str) -> None:
    code, report = run(with_line(12, spoil(LINES[11])))
    assert code == 1
    assert place(report)[:2] == (12, 11)
    assert why in report["first_divergence"]["what"]


def test_a_converted_file_is_told_from_a_forged_one(run: Run) -> None:
    code, report = run(raw=b"".join(line + b"\r\n" for line in LINES))
    assert (code, place(report)[:2]) == (1, (1, 0))
    assert "the file was converted" in report["first_divergence"]["what"]


def test_a_line_without_an_end_takes_no_memory(run: Run) -> None:
    packed = gzip.compress(LINES[0] + b"\n" + b"x" * 200_000_000, 1)
    tracemalloc.start()
    code, report = run(raw=packed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (code, place(report)[:2]) == (1, (2, 1))
    assert peak < 10 * verify.CHUNK


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    peaks = []
    for count in (2_000, 20_000):
        lines = events(count)
        command = Given(tmp_path, lines, signed(lines)).arguments()
        tracemalloc.start()
        assert verify.main(command) == 0
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 3 * verify.CHUNK


def test_a_clock_that_goes_back(run: Run) -> None:
    fields = [json.loads(line) for line in LINES]
    fields[20]["at_us"] -= 1_000_000
    lines = rechained([json.dumps(one).encode() for one in fields])
    code, report = run(lines, signed(lines))
    assert (code, place(report)) == (1, at_line(lines[20], 21))
    assert "clock went back" in report["first_divergence"]["what"]


@pytest.mark.parametrize(("field", "value"), [("seq", 0), ("seq", 2), ("prev", "00" * 32), ("at_us", -1)])
def test_how_a_stream_must_begin(run: Run, field: str, value: object) -> None:
    lines = [json.dumps(event("model:1", 1, "", 5) | {field: value}).encode()]
    assert run(lines, signed(lines))[0] == 1


def test_a_receipt_that_is_not_in_the_log(run: Run) -> None:
    code, report = run(receipts=[receipt(LINES[1]), f"model:7/3/{'ab' * 32}"])
    assert (code, place(report)) == (1, (None, None, "model:7", 3))
    assert (report["receipts"], report["first_divergence"]["check"]) == (1, "receipts")


def test_a_receipt_with_another_hash(run: Run) -> None:
    code, report = run(receipts=[receipt(LINES[7])[:-64] + "ab" * 32])
    assert (code, place(report)) == (1, at_line(LINES[7], 8))


def test_receipts_come_as_the_header_has_them(run: Run) -> None:
    assert run(receipts=[", ".join(map(receipt, LINES[:5])), receipt(LINES[0])])[1]["receipts"] == 5


def test_a_receipt_of_an_event_that_nothing_signed_covers_is_told_apart(run: Run) -> None:
    given = [receipt(LINES[3]), receipt(LINES[24]), receipt(LINES[25]), receipt(LINES[39])]
    code, report = run(checkpoint=KEPT, receipts=given)
    assert (code, report["receipts"], report["receipts_not_yet_sealed"]) == (0, 4, 2)


def test_an_event_never_sealed_and_removed_is_found_by_its_receipt_alone(run: Run) -> None:
    assert run(LINES[:39], signed(LINES[:35]))[0] == 0
    assert run(LINES[:39], signed(LINES[:35]), receipts=[receipt(LINES[39])])[0] == 1


def test_a_checkpoint_kept_that_speaks_of_more(run: Run) -> None:
    code, report = run(checkpoint=KEPT, previous=[CHECKPOINT])
    assert code == 1
    assert "signed with 40 events; now model-registry/audit has 25" in report["first_divergence"]["what"]


def test_a_fork_of_the_same_size(run: Run) -> None:
    fork = rechained(with_line(40, edited(LINES[39])))
    code, report = run(previous=[signed(fork)])
    assert (code, report["first_divergence"]["check"]) == (1, "consistency")


def test_several_checkpoints_kept_narrow_the_place_down(run: Run) -> None:
    kept = [signed(LINES[:size]) for size in (5, 10, 15, 20)]
    code, report = run(rechained(with_line(13, edited(LINES[12]))), previous=kept)
    assert code == 1
    found = report["first_divergence"]
    assert (found["line"], found["last_line"]) == (11, 15)


def test_after_a_restore_the_origin_tells_the_epoch(run: Run) -> None:
    second = signed(LINES, origin=ORIGIN + "/2")
    assert run(checkpoint=second, previous=[KEPT])[0] == 0, "what was kept by the restore is consistent"
    lost = [*LINES[:30], event_line()]
    code, report = run(lost, signed(lost, origin=ORIGIN + "/2"), previous=[CHECKPOINT])
    assert code == 1
    code, report = run(lost, signed(lost, origin=ORIGIN + "/2"), previous=[signed(LINES[:31])])
    assert "restored" in report["first_divergence"]["what"]
    assert run(previous=[second])[0] == 1, "back to an origin from before the restore"


OTHER = Signer(ORIGIN, Ed25519PrivateKey.generate())


@pytest.mark.parametrize(
    "note",
    [
        pytest.param(CHECKPOINT.replace("\n40\n", "\n39\n"), id="another size"),
        pytest.param(signed(LINES, OTHER), id="another key"),
        pytest.param(signed(LINES, origin="another/log"), id="another log"),
        pytest.param(signed(LINES, origin=ORIGIN + "2"), id="another name"),
        pytest.param(signed(LINES, origin=ORIGIN + "/02"), id="another epoch's spelling"),
    ],
)
def test_a_checkpoint_that_the_key_did_not_sign(run: Run, note: str) -> None:
    for code, report in (run(checkpoint=note), run(previous=[note])):
        assert (code, report["verified"], report["first_divergence"]["check"]) == (1, False, "signature")


def test_a_missing_signature_is_told_to_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(Given(tmp_path, LINES, signed(LINES, OTHER)).arguments()) == 1
    assert "DIVERGENCE of the checkpoints: the checkpoint is not signed by" in capsys.readouterr().out


@pytest.mark.parametrize(
    "given",
    [
        {"checkpoint": "nonsense"},
        {"checkpoint": CHECKPOINT.replace("\n", "\r\n")},
        {"checkpoint": CHECKPOINT[:-1]},
        {"previous": ["nonsense"]},
        {"receipts": ["nonsense"]},
        {"receipts": [" "]},
        {"receipts": [f"model:1/1/{'ab' * 32}", f"model:1/1/{'cd' * 32}"]},
        {"key": "nonsense"},
        {"key": str(SIGNER.verifier)[:-1]},
        {"key": str(SIGNER.verifier).replace("model-", "other-")},
        {"raw": gzip.compress(b"x" * 1000)[:-12]},
        {"raw": gzip.compress(b"x" * 1000)[:15] + b"\xff" * 20},
        {"raw": b"\x1f\x8bnonsense"},
    ],
    ids=str,
)
def test_what_cannot_be_read(run: Run, given: dict[str, Any]) -> None:
    code, report = run(**given)
    assert code == 2
    assert report.keys() == {"error"}


@pytest.mark.parametrize("option", ["--jsonl", "--checkpoint", "--previous", "--receipts"])
def test_files_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert verify.main([*Given(tmp_path, LINES, CHECKPOINT).arguments(), option, str(tmp_path / "none")]) == 2
    assert verify.main([*Given(tmp_path, LINES, CHECKPOINT).arguments(), option, str(tmp_path)]) == 2
    assert "CANNOT VERIFY" in capsys.readouterr().err


def test_a_note_that_is_no_text(tmp_path: Path) -> None:
    command = Given(tmp_path, LINES, CHECKPOINT).arguments()
    (tmp_path / "checkpoint").write_bytes(b"\xff\xfe")
    assert verify.main(command) == 2


@pytest.mark.parametrize("command", [[], ["verify"], ["verify", "--jsonl", "x"], ["prove"]])
def test_wrong_use(command: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        verify.main(command)
    assert stopped.value.code == 2


def test_the_key_may_be_given_as_text(tmp_path: Path) -> None:
    command = Given(tmp_path, LINES, CHECKPOINT).arguments()
    assert verify.main([*command, "--key", str(SIGNER.verifier)]) == 0


def test_a_terminal_is_not_spoken_to_by_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [json.dumps(event("\x1b[2J\u202e\ud800", 2, "", 1)).encode()]
    assert verify.main(Given(tmp_path, lines, signed(lines)).arguments()) == 1
    said = capsys.readouterr().out
    assert said.isascii()
    assert "\x1b" not in said
    assert r"\x1b[2J\u202e\ud800" in said


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_report_that_cannot_be_written_is_no_verdict(tmp_path: Path, more: list[str]) -> None:
    command = [sys.executable, str(verify.__file__), *Given(tmp_path, LINES, CHECKPOINT).arguments(), *more]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == verify.UNREADABLE
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_file_alone_is_enough(tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    program = shutil.copy(verify.__file__, alone / "verify.py")
    command = [sys.executable, "-I", str(program), *Given(tmp_path, LINES, CHECKPOINT).arguments()]
    found = subprocess.run(command, cwd=alone, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    wrong = [*command[:-1], command[-1].replace("checkpoint", "log.jsonl")]
    assert subprocess.run(wrong, cwd=alone, capture_output=True, check=False).returncode == 2


def test_it_imports_the_standard_library_and_cryptography_only() -> None:
    tree = ast.parse(Path(verify.__file__).read_text())
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert {name.partition(".")[0] for name in names} - sys.stdlib_module_names == {"cryptography"}


def test_an_auditor_reads_it_in_a_quarter_of_an_hour() -> None:
    """At the pace of a careful reader of code, some 40 lines a minute."""
    lines = [line for line in Path(verify.__file__).read_text().splitlines() if line.strip()]
    assert len(lines) <= 15 * 40


# --- Fuzzing ----------------------------------------------------------------------------------------------------------

KEY = verify.read_key(str(SIGNER.verifier))
SOME = b"".join(line + b"\n" for line in LINES[:12])
SOME_CHECKPOINT = signed(LINES[:12])


def altered(original: str) -> st.SearchStrategy[str]:
    return st.builds(
        lambda cut, length, put: original[:cut] + put + original[cut + length :],
        st.integers(0, len(original)),
        st.integers(0, 4),
        st.text(max_size=4) | st.text(alphabet="\n\u2014 +/=A0", max_size=6),
    )


@given(st.text() | altered(SOME_CHECKPOINT))
def test_notes_are_read_as_the_service_reads_them(written: str) -> None:
    try:
        mine = verify.read_checkpoint(written, KEY)
    except (verify.Unreadable, verify.Unsigned):
        with pytest.raises(NoteError):
            SIGNER.verifier.open(written)
    else:
        theirs = SIGNER.verifier.open(written)
        assert mine == (theirs.origin, theirs.size, theirs.root, 1)


@given(st.text() | altered(str(SIGNER.verifier)))
def test_keys_are_read_as_the_service_reads_them(written: str) -> None:
    try:
        mine = verify.read_key(written)
    except verify.Unreadable:
        with pytest.raises(NoteError):
            Verifier.parse(written)
    else:
        theirs = Verifier.parse(written)
        assert mine == (theirs.name, theirs.key_id, theirs.public)


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=70))
def test_the_tree_is_that_of_the_service(leaves: list[bytes]) -> None:
    log = verify.Log(frozenset(), {})
    for leaf in leaves:
        log._grow(leaf)
    assert verify.root_of(log.nodes) == merkle.range_hash(leaves)


@given(st.text() | st.text(alphabet="model:1/ab,\n 0", max_size=90))
def test_receipts_are_read_or_refused(written: str) -> None:
    try:
        read = verify.read_receipts(written)
    except verify.Unreadable:
        return
    assert all(re.fullmatch("[0-9a-f]{64}", given) for left in read.values() for given in left.values())


@st.composite
def damage(draw: st.DrawFn) -> bytes:
    """The export with bytes cut out, put in or written over, or with lines moved about."""
    if draw(st.booleans()):
        lines = SOME.splitlines(keepends=True)
        return b"".join(draw(st.lists(st.sampled_from(lines), max_size=14)))
    at, length = draw(st.integers(0, len(SOME))), draw(st.integers(0, 40))
    return SOME[:at] + draw(st.binary(max_size=20)) + SOME[at + length :]


@given(damage() | st.binary() | damage().map(gzip.compress))
def test_nothing_but_the_signed_lines_is_ever_verified(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        code = verify.main([*Given(Path(directory), [], SOME_CHECKPOINT, raw=content).arguments(), "--json"])
    plain = gzip.decompress(content) if content.startswith(verify.GZIP) and code == 0 else content
    same = plain.split(b"\n")[:12] == LINES[:12]
    assert code in {0, 1, 2}
    assert same or code != 0


@given(st.binary(max_size=300), st.sampled_from([b'{"v": 1, "seq": 1, "prev": "", "at_us": 1, "stream": "', b"{", b""]))
def test_any_line_is_an_event_or_refused(noise: bytes, start: bytes) -> None:
    for end in (b"", b'"}', b"}"):
        try:
            found = verify.parse(start + noise + end)
        except ValueError:
            continue
        assert isinstance(found["stream"], str)


def test_base64_has_one_spelling() -> None:
    with pytest.raises(verify.Unreadable):
        verify.unbase64(base64.b64encode(b"ab").decode().replace("I=", "J="))
