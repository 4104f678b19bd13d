"""Reading bundles that are none, are damaged, altered, or put together wrongly: each is refused, by its line."""

import contextlib
import hashlib
import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from registry.bundle.errors import BundleError
from registry.bundle.form import canonical, closing
from registry.bundle.reading import LONGEST, Line, Whole, read, verified

Lines = list[dict[str, Any]]
"""A bundle without its last line."""
MANY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def parsed(bundle: bytes) -> Lines:
    return [json.loads(line) for line in bundle.splitlines()[:-1]]


def written(lines: Lines) -> bytes:
    """A bundle with these lines, and a checksum that fits."""
    before = b"".join(canonical(line) + b"\n" for line in lines)
    return before + closing(len(lines), hashlib.sha256(before).hexdigest())


def whole(bundle: bytes) -> Whole:
    return verified(io.BytesIO(bundle))


def first(lines: Lines, name: str, **wanted: Any) -> int:
    """Where the first line of a table stands that has these values."""
    return next(
        place
        for place, line in enumerate(lines)
        if name in line and all(line[name][column] == value for column, value in wanted.items())
    )


def header(**changes: Any) -> Callable[[Lines], int]:
    """A change of the first line."""

    def change(lines: Lines) -> int:
        lines[0]["bundle"] |= changes
        return 0

    return change


def column(name: str, column: str, value: Any) -> Callable[[Lines], int]:
    """A value in the first row of a table."""

    def change(lines: Lines) -> int:
        place = first(lines, name)
        lines[place][name][column] = value
        return place

    return change


def inserted(line: dict[str, Any]) -> Callable[[Lines], int]:
    """A line more, behind the first one."""

    def change(lines: Lines) -> int:
        lines.insert(1, line)
        return 1

    return change


def without(name: str, column: str) -> Callable[[Lines], int]:
    def change(lines: Lines) -> int:
        place = first(lines, name)
        del lines[place][name][column]
        return place

    return change


def counted(change: Callable[[Lines], int]) -> Callable[[Lines], int]:
    """A change, and counts in the first line that fit it: so that nothing but the fault itself is found."""

    def changed(lines: Lines) -> int:
        place = change(lines)
        counts = lines[0]["bundle"]["counts"]
        for name in counts:
            counts[name] = sum(name in line for line in lines)
        return place

    return changed


def twice(name: str) -> Callable[[Lines], int]:
    def change(lines: Lines) -> int:
        place = first(lines, name)
        lines.insert(place, lines[place])
        return place + 1

    return counted(change)


def swapped(name: str) -> Callable[[Lines], int]:
    def change(lines: Lines) -> int:
        place = first(lines, name)
        assert name in lines[place + 1]
        lines[place], lines[place + 1] = lines[place + 1], lines[place]
        return place + 1

    return change


def removed(name: str, **wanted: Any) -> Callable[[Lines], int]:
    """A row is taken out; what shows that is in the line that then stands there."""

    def change(lines: Lines) -> int:
        place = first(lines, name, **wanted)
        del lines[place]
        return place

    return counted(change)


def moved_up(lines: Lines) -> int:
    """A row of a later table stands before those of an earlier one; the earlier ones are behind it then."""
    place = first(lines, "aliases")
    lines.insert(1, lines.pop(place))
    return 2


def another_body(lines: Lines) -> int:
    """An event that is another one, with a hash that fits: the chain shows it, at the next event of its stream."""
    places = [
        place for place, line in enumerate(lines) if "event" in line and '"stream": "model:1"' in line["event"]["body"]
    ]
    event = lines[places[0]]["event"]
    event["body"] = event["body"].replace('"operator"', '"somebody"')
    event["hash"] = "\\x" + hashlib.sha256(b"\0" + event["body"].encode()).hexdigest()
    return places[1]


def another_text(lines: Lines) -> int:
    """A text that is not what was logged; it shows once all of its event's have come."""
    place = first(lines, "private")
    lines[place]["private"]["content"] += "!"
    return next(number for number, line in enumerate(lines) if number > place and "event" in line)


def text_of_nothing(lines: Lines) -> int:
    place = first(lines, "private")
    lines[place]["private"]["event_id"] += 1
    return place


def last(change: Callable[[Lines], object]) -> Callable[[Lines], int]:
    """A change that shows at the end only."""

    def changed(lines: Lines) -> int:
        change(lines)
        return len(lines)

    return changed


def another_leaf(lines: Lines) -> int:
    """What was sealed is something else; it shows at the next checkpoint."""
    place = first(lines, "seal")
    lines[place]["seal"]["leaf"] = "\\x" + "00" * 32
    return first(lines, "checkpoint")


def all_checkpoints_gone(lines: Lines) -> None:
    lines[:] = [line for line in lines if "checkpoint" not in line]


def a_text_gone(lines: Lines) -> None:
    del lines[first(lines, "private")]


def a_gap(lines: Lines) -> int:
    """The second event of a stream is not there; it shows at the third one."""
    of_model = [
        place for place, line in enumerate(lines) if '"stream": "model:1"' in line.get("event", {}).get("body", "")
    ]
    event = lines[of_model[1]]["event"]["id"]
    texts = [line for line in lines if line.get("private", {}).get("event_id") == event]
    del lines[of_model[1]]
    for text in texts:
        lines.remove(text)
    return of_model[2] - 1 - len(texts)


FAULTS: list[tuple[str, Callable[[Lines], int]]] = [
    ("release is not", header(release=7)),
    ("schema is not", header(schema="../x")),
    ("made_at is not", header(made_at="yesterday")),
    ("made_at is not", header(made_at="2026-13-01T00:00:00+00:00")),
    ("tokens is not", header(tokens=None)),
    ("checkpoint is not", header(checkpoint=None)),
    ("counts is not", header(counts={})),
    ("sequences is not", header(sequences={"principals": -1})),
    ("another field is not", header(more=1)),
    ("cannot stand here", inserted({"unheard_of": {}})),
    ("a second first line cannot stand here", inserted({"bundle": {}})),
    ("does not have the columns of tokens", without("tokens", "role")),
    ("does not have the columns of tokens", column("tokens", "more", 1)),
    ("does not have the columns of aliases", inserted({"aliases": []})),
    ("the name of principals", column("principals", "name", None)),
    ("the name of principals", column("principals", "name", "a\0b")),
    ("the id of principals", column("principals", "id", True)),
    ("the id of principals", column("principals", "id", 1.0)),
    ("the id of principals", column("principals", "id", 2**63)),
    ("the number of model_versions", column("model_versions", "number", 2**31)),
    ("the created_at of principals", column("principals", "created_at", "2026-02-30T00:00:00+00:00")),
    ("the created_at of principals", column("principals", "created_at", "2026-02-20 00:00:00")),
    ("the digest of tokens", column("tokens", "digest", "00")),
    ("the digest of tokens", column("tokens", "digest", None)),
    ("the models of tokens", column("tokens", "models", ["a", 1])),
    ("the from_settings of tokens", column("tokens", "from_settings", 0)),
    ("principals is said to have no id higher", column("principals", "id", 10**6)),
    ("it is there twice", twice("principals")),
    ("it is there twice", twice("model_version_tags")),
    ("it is there twice", twice("event")),
    ("it is there twice", twice("private")),
    ("it is there twice", twice("seal")),
    ("it stands behind a later one", swapped("registered_models")),
    ("it stands behind a later one", swapped("model_version_tags")),
    ("it stands behind a later one", swapped("stage_intervals")),
    ("stand further up", moved_up),
    ("and the first line says", last(lambda lines: lines.pop(first(lines, "aliases")))),
    ("the body is no event", column("event", "body", "{}")),
    ("the body is no event", column("event", "body", "no JSON")),
    ("the stored hash is not that of the body", column("event", "hash", "\\x00")),
    ("prev is not the hash", another_body),
    ("the text is not the one that was logged", another_text),
    ("does not stand before it", text_of_nothing),
    ("position 1 stands where 0 has to", removed("seal", position=0)),
    ("do not have the root that was signed", another_leaf),
    ("the checkpoint that the first line names is not there", counted(last(all_checkpoints_gone))),
    ("is gone, but no event says that it was erased", counted(last(a_text_gone))),
    ("an event is missing, doubled or moved", a_gap),
    ("the note is no checkpoint", column("checkpoint", "note", "x")),
    ("under another origin or size", column("checkpoint", "origin", "other")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "change"), FAULTS, ids=lambda each: str(each)[:40] if isinstance(each, str) else ""
)
def test_a_bundle_that_was_put_together_wrongly_is_refused_by_its_line(
    bundle: bytes, expected: str, change: Callable[[Lines], int]
) -> None:
    lines = parsed(bundle)
    place = change(lines)
    with pytest.raises(BundleError, match=expected) as refused:
        whole(written(lines))
    assert str(refused.value).startswith(f"line {place + 1}: ")


def test_what_was_not_changed_is_accepted_and_described(bundle: bytes) -> None:
    assert written(parsed(bundle)) == bundle
    found = whole(bundle)
    assert found.lines == len(bundle.splitlines()) - 1
    assert found.sha256 == hashlib.sha256(bundle[: bundle.rindex(b'{"end"')]).hexdigest()
    assert found.header.counts["event"] > 400
    assert found.erasures > 0


NONE = [
    b"",
    b"\n",
    b"{}",
    b"{}\n",
    b"[1]\n",
    b"PK\x03\x04",
    b"\xff\xfe\n",
    b'{"bundle":1}\n',
    b'{"bundle":{"format":"1"}}\n',
    b"[" * 100_000,
]


@pytest.mark.parametrize("given", NONE, ids=range(len(NONE)))
def test_what_is_no_bundle_is_said_to_be_none(given: bytes) -> None:
    with pytest.raises(BundleError, match="this is no bundle of a registry"):
        whole(given)


def test_a_later_format_is_refused_with_the_release_to_take(bundle: bytes) -> None:
    lines = parsed(bundle)
    lines[0]["bundle"] = {"format": 2, "release": "9.9", "whatever": 1}
    with pytest.raises(
        BundleError, match=re.escape("the bundle has format 2, and this release reads format 1: import it with")
    ) as e:
        whole(written(lines))
    assert "9.9" in str(e.value)


@pytest.mark.parametrize("part", [0.0001, 0.3, 0.7, 0.999])
def test_a_bundle_that_breaks_off_is_refused_wherever_it_does(bundle: bytes, part: float) -> None:
    cut = int(len(bundle) * part)
    with pytest.raises(BundleError, match=r"no bundle|breaks off"):
        whole(bundle[:cut])
    with pytest.raises(BundleError, match="breaks off after line"):
        whole(bundle[: bundle.rindex(b"\n", 0, max(cut, 5_000)) + 1])


def test_nothing_stands_behind_the_end(bundle: bytes) -> None:
    for more in (b"\n", b"x", bundle, bundle.splitlines(keepends=True)[-1]):
        with pytest.raises(BundleError, match="something behind the last line"):
            whole(bundle + more)


def test_a_line_without_end_takes_no_memory(bundle: bytes) -> None:
    start = bundle.splitlines(keepends=True)[0]
    with pytest.raises(BundleError, match="line 2: it is longer than any line of a bundle"):
        whole(start + b'{"principals":"' + b"x" * (LONGEST + 10))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'{"principals":{"id":1,', b'{"principals":{"id": 1,'),
        (b'{"principals":{"id":1,', b'{"principals":{"id":2,"id":1,'),
        (b'{"principals":{', b'{"aliases":{},"principals":{'),
        (b'{"principals":{"id":1,', b'{"principals":{"id":1e0,'),
        (b'"name":"ada"', b'"name":"\\u0061da"'),
        (b'"name":"ada"', b'"name":"\\ud800"'),
    ],
)
def test_there_is_one_way_to_write_a_line(bundle: bytes, old: bytes, new: bytes) -> None:
    """What one reader takes for this and another one for that is neither."""
    before = bundle[: bundle.rindex(b'{"end"')].replace(old, new, 1)
    assert before not in bundle
    forged = before + closing(before.count(b"\n"), hashlib.sha256(before).hexdigest())
    with pytest.raises(BundleError, match="line 2: it is no line of a bundle, or was changed"):
        whole(forged)


ENDS = [
    (b'"lines":', b'"lines": '),
    (b'{"end":', b'{"end" :'),
    (b'"sha256":"', b'"sha256":"0'),
    (b"}}\n", b"}}"),
    (b"}}\n", b"}}\r\n"),
    (b"}}\n", b',"more":1}}\n'),
]


@pytest.mark.parametrize(("old", "new"), ENDS)
def test_there_is_one_way_to_write_the_end(bundle: bytes, old: bytes, new: bytes) -> None:
    start = bundle.rindex(b'{"end"')
    with pytest.raises(BundleError):
        whole(bundle[:start] + bundle[start:].replace(old, new))


@MANY
@given(st.data())
def test_no_altered_byte_is_ever_accepted(bundle: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(bundle) - 1))
    end = data.draw(st.integers(start, min(len(bundle), start + 40)))
    altered = bundle[:start] + data.draw(st.binary(max_size=40)) + bundle[end:]
    if altered != bundle:
        with pytest.raises(BundleError):
            whole(altered)


@MANY
@given(st.data())
def test_no_lines_in_another_order_or_number_are_ever_accepted(bundle: bytes, data: st.DataObject) -> None:
    lines = bundle.splitlines(keepends=True)
    places = st.integers(0, len(lines) - 1)
    altered = list(lines)
    for _ in range(data.draw(st.integers(1, 3))):
        one, other = data.draw(places) % len(altered), data.draw(places) % len(altered)
        match data.draw(st.sampled_from(["swap", "drop", "double"])):
            case "swap":
                altered[one], altered[other] = altered[other], altered[one]
            case "drop":
                del altered[one]
            case "double":
                altered.insert(one, altered[other])
    if altered != lines:
        with pytest.raises(BundleError):
            whole(b"".join(altered))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(MANY, max_examples=50)
@given(st.data())
def test_a_forged_bundle_is_read_or_refused_and_nothing_else(bundle: bytes, data: st.DataObject) -> None:
    """With a checksum that fits: whoever alters a bundle can make one."""
    lines = parsed(bundle)
    for _ in range(data.draw(st.integers(1, 3))):
        line = lines[data.draw(st.integers(0, len(lines) - 1))]
        [content] = line.values()
        content[data.draw(st.sampled_from(sorted(content)))] = data.draw(JSON)
    before = b"".join(
        json.dumps(line, ensure_ascii=data.draw(st.booleans())).encode(errors="replace") + b"\n" for line in lines
    )
    ways = [before + closing(len(lines), hashlib.sha256(before).hexdigest())]
    with contextlib.suppress(UnicodeEncodeError):
        ways.append(written(lines))
    for way in ways:
        with contextlib.suppress(BundleError):
            whole(way)


@MANY
@given(st.binary(max_size=200))
@example(b'{"bundle":' + b"[" * 5000)
def test_noise_is_refused(bundle: bytes, noise: bytes) -> None:
    for content in (noise, bundle.splitlines(keepends=True)[0] + noise):
        with pytest.raises(BundleError):
            whole(content)


def test_rows_are_given_with_their_text_as_it_stands_there(bundle: bytes) -> None:
    lines = bundle.splitlines()
    found: list[Line] = list(read(io.BytesIO(bundle), whole(bundle)))
    assert len(found) == len(lines) - 2
    for line in found:
        assert f'{{"{line.section.name}":{line.text}}}'.encode() == lines[line.number - 1]
        assert json.loads(line.text) == line.row
