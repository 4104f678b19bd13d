"""Notes, checkpoints and keys: read as the specifications say and no otherwise."""

import base64
import contextlib
import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from registry.ledger.note import Checkpoint, Note, NoteError, Signer, Verifier

NAME = "example.com/log"
SIGNER = Signer(NAME, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
KEY = SIGNER.verifier
ROOT = hashlib.sha256(b"root").digest()
CHECKPOINT = Checkpoint(NAME, 7, ROOT)
WRITTEN = SIGNER.sign(CHECKPOINT)
ROOT_TEXT = base64.b64encode(ROOT).decode()
TEXT = f"{NAME}\n7\n{ROOT_TEXT}\n"
LINE = WRITTEN.removeprefix(TEXT + "\n")

# From the documentation of Go's golang.org/x/mod/sumdb/note, an independent implementation.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_a_checkpoint_is_written_as_the_specification_shows() -> None:
    assert f"{TEXT}\n\u2014 {NAME} {LINE.split(' ')[2]}" == WRITTEN
    assert KEY.open(WRITTEN) == CHECKPOINT
    assert str(Note.parse(WRITTEN)) == WRITTEN


def test_the_key_id_is_the_hash_of_name_type_and_key() -> None:
    assert KEY.key_id == hashlib.sha256(NAME.encode() + b"\n\x01" + KEY.public).digest()[:4]
    assert base64.b64decode(LINE.split(" ")[2])[:4] == KEY.key_id
    assert Verifier.parse(str(KEY)) == KEY


def test_another_implementations_key_and_signature_are_read() -> None:
    key = Verifier.parse(GO_KEY)
    assert str(key) == GO_KEY
    with pytest.raises(NoteError, match="origin, size and root"):
        key.open(GO_NOTE)  # the signature holds; the text is no checkpoint
    with pytest.raises(NoteError, match="does not belong"):
        key.open(GO_NOTE.replace("answer", "Answer"))


def test_extension_lines_are_signed_too() -> None:
    extended = Checkpoint(NAME, 7, ROOT, ("one", "two"))
    assert KEY.open(SIGNER.sign(extended)) == extended


def test_signatures_of_others_are_passed_over() -> None:
    other = Signer("witness.example", Ed25519PrivateKey.generate())
    theirs = other.sign(CHECKPOINT).removeprefix(TEXT + "\n")
    assert KEY.open(TEXT + "\n" + theirs + LINE) == CHECKPOINT
    assert other.verifier.open(TEXT + "\n" + theirs + LINE) == CHECKPOINT
    with pytest.raises(NoteError, match="has not signed this"):
        KEY.open(TEXT + "\n" + theirs)


def test_sixteen_signatures_are_accepted() -> None:
    filler = f"\u2014 w {base64.b64encode(bytes(4900)).decode()}\n"
    assert KEY.open(TEXT + "\n" + filler * 15 + LINE) == CHECKPOINT


def test_one_false_signature_of_the_key_spoils_the_note() -> None:
    raw = base64.b64decode(LINE.split(" ")[2])
    false = f"\u2014 {NAME} {base64.b64encode(raw[:-1] + bytes([raw[-1] ^ 1])).decode()}\n"
    for lines in (LINE + false, false + LINE, false):
        with pytest.raises(NoteError, match="does not belong"):
            KEY.open(TEXT + "\n" + lines)


def test_the_same_name_or_the_same_id_is_another_key() -> None:
    same_name = Signer(NAME, Ed25519PrivateKey.generate())
    same_key = Signer(NAME + "/2", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    for other in (same_name, same_key):
        with pytest.raises(NoteError, match="has not signed this"):
            KEY.open(other.sign(CHECKPOINT))


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("", id="empty"),
        pytest.param(TEXT, id="no signature"),
        pytest.param(TEXT + "\n", id="no signature line"),
        pytest.param(WRITTEN[:-1], id="no newline at the end"),
        pytest.param(WRITTEN + "\n", id="an empty line at the end"),
        pytest.param(WRITTEN.replace("\n\n", "\n"), id="no empty line"),
        pytest.param(WRITTEN.replace("\u2014", "-"), id="hyphen"),
        pytest.param(WRITTEN.replace("\u2014", "\u2013"), id="en dash"),
        pytest.param(WRITTEN.replace("\u2014 ", "\u2014"), id="no space after the dash"),
        pytest.param(WRITTEN.replace("\u2014 ", "\u2014  "), id="two spaces"),
        pytest.param(WRITTEN.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(WRITTEN + "\x00", id="NUL"),
        pytest.param(WRITTEN.replace(f"\u2014 {NAME}", "\u2014 a+b"), id="plus in the name"),
        pytest.param(WRITTEN.replace(f"\u2014 {NAME}", "\u2014 a\u00a0b"), id="space in the name"),
        pytest.param(WRITTEN[:-1] + " \n", id="space after the signature"),
        pytest.param(WRITTEN[:-2] + "\n", id="base64 cut"),
        pytest.param(f"{TEXT}\n\u2014 {NAME} AAAA\n", id="too short for a key id"),
        pytest.param(WRITTEN + "x" * 300_000 + "\n", id="too long"),
        pytest.param(WRITTEN + "\ud800\n", id="no UTF-8"),
    ],
)
def test_what_is_no_note_is_refused(written: str) -> None:
    with pytest.raises(NoteError):
        KEY.open(written)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(f"{NAME}\n7\n", id="no root"),
        pytest.param(f"{NAME}\n7\n{ROOT_TEXT}", id="no newline at the end"),
        pytest.param(f"\n7\n{ROOT_TEXT}\n", id="no origin"),
        pytest.param(f"{NAME}\n07\n{ROOT_TEXT}\n", id="leading zero"),
        pytest.param(f"{NAME}\n00\n{ROOT_TEXT}\n", id="zeros"),
        pytest.param(f"{NAME}\n-7\n{ROOT_TEXT}\n", id="negative"),
        pytest.param(f"{NAME}\n+7\n{ROOT_TEXT}\n", id="sign"),
        pytest.param(f"{NAME}\n 7\n{ROOT_TEXT}\n", id="space"),
        pytest.param(f"{NAME}\n7_0\n{ROOT_TEXT}\n", id="underscore"),
        pytest.param(f"{NAME}\n\u0667\n{ROOT_TEXT}\n", id="another script's digit"),
        pytest.param(f"{NAME}\n9223372036854775808\n{ROOT_TEXT}\n", id="too large"),
        pytest.param(f"{NAME}\n7\n{ROOT_TEXT[:-1]}\n", id="no padding"),
        pytest.param(f"{NAME}\n7\n{ROOT_TEXT[:-2]}{chr(ord(ROOT_TEXT[-2]) + 1)}=\n", id="another base64 of the same"),
        pytest.param(f"{NAME}\n7\n{base64.b64encode(ROOT[:31]).decode()}\n", id="31 bytes"),
        pytest.param(f"{NAME}\n7\n{base64.b64encode(ROOT + b'x').decode()}\n", id="33 bytes"),
        pytest.param(f"{NAME}\n7\n{base64.urlsafe_b64encode(bytes([255]) * 32).decode()}\n", id="URL-safe base64"),
        pytest.param(f"{NAME}\n7\n{ROOT_TEXT}\n\n", id="an empty line"),
        pytest.param(f"{NAME}\n7\n{ROOT_TEXT}\n\nmore\n", id="an empty extension line"),
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        Checkpoint.parse(text)


@pytest.mark.parametrize("size", ["0", "1", "10", "9223372036854775807"])
def test_sizes_are_decimal(size: str) -> None:
    assert Checkpoint.parse(f"{NAME}\n{size}\n{ROOT_TEXT}\n").size == int(size)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key[:-1],
        lambda key: key + "\n",
        lambda key: key.replace("+", " "),
        lambda key: "other" + key,
        lambda key: key.partition("+")[2],
        lambda key: key.replace(KEY.key_id.hex(), KEY.key_id.hex().upper()),
        lambda key: key.replace(KEY.key_id.hex(), "00000000"),
        lambda key: key.replace("+AQ", "+Ag"),  # the first byte says the type
    ],
)
def test_what_is_no_key_is_refused(spoil: Callable[[str], str]) -> None:
    with pytest.raises(NoteError):
        Verifier.parse(spoil(str(KEY)))


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\nb"])
def test_no_key_has_such_a_name(name: str) -> None:
    with pytest.raises(NoteError):
        Signer(name, Ed25519PrivateKey.generate())


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("", 1, ROOT),
        Checkpoint("a\nb", 1, ROOT),
        Checkpoint(NAME, -1, ROOT),
        Checkpoint(NAME, 1, ROOT[:5]),
        Checkpoint(NAME, 1, ROOT, ("",)),
        Checkpoint(NAME, 1, ROOT, ("x\ny",)),
    ],
)
def test_nothing_is_signed_that_could_not_be_read_again(checkpoint: Checkpoint) -> None:
    with pytest.raises(NoteError):
        SIGNER.sign(checkpoint)


ALTERED = st.builds(
    lambda cut, length, put: WRITTEN[:cut] + put + WRITTEN[cut + length :],
    st.integers(0, len(WRITTEN)),
    st.integers(0, 4),
    st.text(max_size=4) | st.text(alphabet="\n\u2014 +=A0", max_size=6),
)


@given(st.text() | ALTERED)
def test_no_other_text_passes_for_what_was_signed(written: str) -> None:
    """What opens has the signed text: only lines of other keys may come or go under it."""
    try:
        assert KEY.open(written) == CHECKPOINT
        assert written.startswith(TEXT + "\n")
    except NoteError:
        assert written != WRITTEN


@given(st.text() | st.text(alphabet="a+0=\n/ \u2014", max_size=60))
def test_readers_fail_in_their_own_way_only(text: str) -> None:
    for read in (Note.parse, Checkpoint.parse, Verifier.parse):
        with contextlib.suppress(NoteError):
            assert str(read(text)) == text


@given(
    st.text(min_size=1), st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32), st.lists(st.text(min_size=1))
)
def test_what_is_written_is_read_as_it_was(origin: str, size: int, root: bytes, extensions: list[str]) -> None:
    checkpoint = Checkpoint(origin, size, root, tuple(extensions))
    try:
        written = SIGNER.sign(checkpoint)
    except NoteError:
        return
    assert KEY.open(written) == checkpoint
