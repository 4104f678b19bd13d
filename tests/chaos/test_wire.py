"""Messages of PostgreSQL's clients, however they are cut."""

import pytest

from chaos.wire import Frontend, is_commit

STARTUP = (15).to_bytes(4) + (196608).to_bytes(4) + b"user\0a\0"
TLS = (8).to_bytes(4) + (80877103).to_bytes(4)


def query(text: str) -> bytes:
    return b"Q" + (len(text) + 5).to_bytes(4) + text.encode() + b"\0"


SESSION = [TLS, STARTUP, query("BEGIN"), query("SELECT 'COMMIT'"), query("COMMIT"), b"X" + (4).to_bytes(4)]


@pytest.mark.parametrize("step", range(1, 41))
def test_messages_are_found_wherever_the_bytes_are_cut(step: int) -> None:
    whole, said = b"".join(SESSION), Frontend()
    pieces = [whole[at : at + step] for at in range(0, len(whole), step)]

    assert [message for piece in pieces for message in said.feed(piece)] == SESSION


def test_a_commit_is_told_from_all_else() -> None:
    assert [is_commit(message) for message in SESSION] == [False, False, False, False, True, False]
    assert is_commit(query("commit;"))
    assert is_commit(query("EXECUTE registry_0 ('key', 'value'); COMMIT"))
    assert not is_commit(query("EXECUTE registry_0 ('; COMMIT')"))
    assert not is_commit(query("COMMIT AND CHAIN"))
    assert not is_commit(query("ROLLBACK"))
