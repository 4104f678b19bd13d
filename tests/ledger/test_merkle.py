"""The tree against RFC 6962: its reference roots and proofs, its definitions, and every proof of every size to 300."""

import contextlib
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.ledger import merkle
from registry.ledger.merkle import Frontier, MerkleError

SIZES = 300
ENTRIES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Of the first 0, 1, … 8 entries. Source: the reference implementation of Certificate Transparency."""
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
REFERENCE = [merkle.leaf_hash(bytes.fromhex(entry)) for entry in ENTRIES]
LEAVES = [merkle.leaf_hash(b"%d" % number) for number in range(SIZES)]


@cache
def mth(start: int, end: int) -> bytes:
    """The definition of section 2.1, over LEAVES."""
    if start == end:
        return merkle.EMPTY_ROOT
    if end - start == 1:
        return LEAVES[start]
    middle = start + power_below(end - start)
    return merkle.node_hash(mth(start, middle), mth(middle, end))


def power_below(count: int) -> int:
    return max(1 << bits for bits in range(12) if 1 << bits < count)


def path(position: int, start: int, end: int) -> list[bytes]:
    """The definition of section 2.1.1: PATH(m, D[n])."""
    if end - start == 1:
        return []
    middle = start + power_below(end - start)
    if position < middle:
        return [*path(position, start, middle), mth(middle, end)]
    return [*path(position, middle, end), mth(start, middle)]


def subproof(first: int, start: int, end: int, *, known: bool) -> list[bytes]:
    """The definition of section 2.1.2: SUBPROOF(m, D[n], b), `first` being a position, not a count."""
    if first == end:
        return [] if known else [mth(start, end)]
    middle = start + power_below(end - start)
    if first <= middle:
        return [*subproof(first, start, middle, known=known), mth(middle, end)]
    return [*subproof(first, middle, end, known=False), mth(start, middle)]


def included(position: int, size: int) -> list[bytes]:
    return [mth(*where) for where in merkle.inclusion_ranges(position, size)]


def consistent(first: int, second: int) -> list[bytes]:
    return [mth(*where) for where in merkle.consistency_ranges(first, second)]


def flipped(value: bytes) -> bytes:
    return bytes([value[0] ^ 1]) + value[1:]


def alterations(proof: list[bytes]) -> list[list[bytes]]:
    """The proof with each hash altered, with one more, one fewer, and in another order."""
    altered = [[*proof[:n], flipped(proof[n]), *proof[n + 1 :]] for n in range(len(proof))]
    altered += [[*proof, LEAVES[0]], [LEAVES[0], *proof]]
    if proof:
        altered += [proof[1:], proof[:-1]]
    if len(set(proof)) > 1:
        altered.append(proof[::-1])
    return altered


@pytest.mark.parametrize("size", range(9))
def test_reference_roots(size: int) -> None:
    frontier = Frontier()
    for leaf in REFERENCE[:size]:
        frontier.append(leaf)
    assert frontier.root().hex() == merkle.range_hash(REFERENCE[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(
    ("position", "size", "proof"),
    [
        (0, 1, []),
        (0, 8, [A, B, C]),
        (5, 8, [D, E, ROOTS[4]]),
        (2, 3, [ROOTS[2]]),
        (1, 5, [ROOTS[1], B, D]),
    ],
)
def test_reference_inclusion_proofs(position: int, size: int, proof: list[str]) -> None:
    assert [step.hex() for step in merkle.inclusion_proof(REFERENCE, position, size)] == proof
    steps = [bytes.fromhex(step) for step in proof]
    assert merkle.verify_inclusion(REFERENCE[position], position, size, steps, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(
    ("first", "second", "proof"), [(1, 1, []), (1, 8, [A, B, C]), (6, 8, [F, E, ROOTS[4]]), (2, 5, [B, D])]
)
def test_reference_consistency_proofs(first: int, second: int, proof: list[str]) -> None:
    assert [step.hex() for step in merkle.consistency_proof(REFERENCE, first, second)] == proof
    old, new = bytes.fromhex(ROOTS[first]), bytes.fromhex(ROOTS[second])
    assert merkle.verify_consistency(first, second, old, new, [bytes.fromhex(step) for step in proof])


def test_the_frontier_is_the_definition_at_every_size_and_survives_being_written() -> None:
    frontier = Frontier()
    for size in range(SIZES):
        assert frontier.root() == mth(0, size) == merkle.range_hash(LEAVES[:size])
        assert Frontier.parse(frontier.serialise()).root() == frontier.root()
        other = frontier.copy()
        frontier.append(LEAVES[size])
        assert other.root() == mth(0, size)


@pytest.mark.parametrize("size", [*range(1, 40), *range(40, SIZES + 1, 20), 255, 256, 257])
def test_ranges_are_those_of_the_definition(size: int) -> None:
    for position in range(size):
        assert included(position, size) == path(position, 0, size)
    for first in range(1, size + 1):
        assert consistent(first, size) == subproof(first, 0, size, known=True)


@pytest.mark.parametrize("sizes", [range(1, 151), range(151, 231), range(231, SIZES + 1)], ids=str)
def test_every_inclusion_proof_verifies_and_no_neighbour_of_it_does(sizes: range) -> None:
    for size in sizes:
        root = mth(0, size)
        for position in range(size):
            leaf, proof = LEAVES[position], included(position, size)
            assert merkle.verify_inclusion(leaf, position, size, proof, root)
            assert not merkle.verify_inclusion(LEAVES[position - 1], position, size, proof, root) or size == 1
            assert not merkle.verify_inclusion(leaf, position, size, proof, flipped(root))
            assert not any(merkle.verify_inclusion(leaf, other, size, proof, root) for other in near(position))
            assert not any(
                merkle.verify_inclusion(leaf, position, size, wrong, root) for wrong in alterations(proof)
            ), (position, size)


@pytest.mark.parametrize("sizes", [range(1, 151), range(151, 231), range(231, SIZES + 1)], ids=str)
def test_every_consistency_proof_verifies_and_no_neighbour_of_it_does(sizes: range) -> None:
    for second in sizes:
        new = mth(0, second)
        for first in range(1, second):
            old, proof = mth(0, first), consistent(first, second)
            assert merkle.verify_consistency(first, second, old, new, proof)
            assert not merkle.verify_consistency(first, second, new, old, proof)
            assert not merkle.verify_consistency(first, second, flipped(old), new, proof)
            assert not merkle.verify_consistency(first, second, old, flipped(new), proof)
            assert not any(merkle.verify_consistency(first, second, old, new, wrong) for wrong in alterations(proof)), (
                first,
                second,
            )


def near(number: int) -> tuple[int, ...]:
    return (number - 1, number + 1, -1)


@pytest.mark.parametrize("size", range(2, 65))
def test_a_proof_speaks_of_one_size_only_where_its_shape_does(size: int) -> None:
    """The shape of a proof may fit several sizes (RFC 6962 signs size and root together); the root then decides."""
    for position in range(size):
        proof, root = included(position, size), mth(0, size)
        for other in (size - 1, size + 1):
            assert not merkle.verify_inclusion(LEAVES[position], position, other, proof, mth(0, other))
            if len(included(min(position, other - 1), other)) != len(proof):
                assert not merkle.verify_inclusion(LEAVES[position], position, other, proof, root)


@pytest.mark.parametrize("second", range(2, 65))
def test_a_consistency_proof_speaks_of_its_two_sizes(second: int) -> None:
    for first in range(1, second):
        old, new, proof = mth(0, first), mth(0, second), consistent(first, second)
        for other in (first - 1, first + 1, first + 2):
            assert not merkle.verify_consistency(other, second, old, new, proof)
        for other in (second - 1, second + 1):
            assert not merkle.verify_consistency(first, other, old, mth(0, other), proof)


def test_the_same_tree_and_the_empty_tree_need_no_proof() -> None:
    one, two = mth(0, 1), mth(0, 2)
    assert merkle.verify_consistency(2, 2, two, two, [])
    assert not merkle.verify_consistency(2, 2, one, two, [])
    assert not merkle.verify_consistency(2, 2, two, two, [one])
    assert merkle.verify_consistency(0, 2, merkle.EMPTY_ROOT, two, [])
    assert not merkle.verify_consistency(0, 2, one, two, [])
    assert not merkle.verify_consistency(0, 2, merkle.EMPTY_ROOT, two, [one])
    assert not merkle.verify_consistency(2, 1, two, one, [])
    assert not merkle.verify_consistency(4, 8, mth(0, 4), mth(0, 8), [])


@pytest.mark.parametrize(("position", "size"), [(0, 0), (1, 1), (-1, 3), (3, 3), (0, 2**63)])
def test_no_inclusion_proof_outside_the_tree(position: int, size: int) -> None:
    with pytest.raises(MerkleError):
        merkle.inclusion_ranges(position, size)
    assert not merkle.verify_inclusion(LEAVES[0], position, size, [], LEAVES[0])


@pytest.mark.parametrize(("first", "second"), [(0, 1), (2, 1), (-1, 3), (1, 2**63)])
def test_no_consistency_proof_backwards_or_from_nothing(first: int, second: int) -> None:
    with pytest.raises(MerkleError):
        merkle.consistency_ranges(first, second)


def test_proofs_need_their_leaves() -> None:
    with pytest.raises(MerkleError, match="2 leaves, not 3"):
        merkle.inclusion_proof(LEAVES[:2], 0, 3)


@pytest.mark.parametrize(
    "text",
    ["", "1", "x", "0 ", "00", "-1", "+0", "1 ab", f"2 {A} {B}", f"1 {A.upper()}", f"1  {A}", f"1 {A} ", f"3 {A}"],
)
def test_what_is_no_frontier_is_refused(text: str) -> None:
    with pytest.raises(MerkleError):
        Frontier.parse(text)


@given(st.text(max_size=200) | st.text(alphabet="0123456789abcdef ", max_size=200))
def test_reading_a_frontier_never_fails_otherwise(text: str) -> None:
    with contextlib.suppress(MerkleError):
        assert Frontier.parse(text).serialise() == text


HASH = st.binary(min_size=32, max_size=32)
NUMBER = st.integers(-2, 2**64)


@given(HASH, NUMBER, NUMBER, st.lists(HASH | st.binary(max_size=40), max_size=70), HASH)
def test_verifying_random_proofs_never_fails_and_never_holds(
    leaf: bytes, position: int, size: int, proof: list[bytes], root: bytes
) -> None:
    if leaf != root:
        assert not merkle.verify_inclusion(leaf, position, size, proof, root)
        assert not merkle.verify_consistency(position, size, leaf, root, proof)
