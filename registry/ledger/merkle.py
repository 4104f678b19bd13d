"""The Merkle tree of RFC 6962 over SHA-256: roots, a frontier that grows, and proofs, made and verified.

A proof is a list of hashes of subtrees. Which subtrees, the functions `inclusion_ranges` and `consistency_ranges` say
as ranges of positions, `[start, end)`; `range_hash` makes the hash of one from its leaf hashes. Whoever has the leaves
in a database can so hash, or look up, the ranges as it likes.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Self

HASH_BYTES = 32
LARGEST_SIZE = 2**63 - 1
"""What a bigint holds; also more than any proof of 64 hashes can speak of."""
EMPTY_ROOT = hashlib.sha256(b"").digest()

Range = tuple[int, int]


class MerkleError(ValueError):
    """No such tree, position or proof; the text says why."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of one entry. Source: RFC 6962, section 2.1."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node. Source: RFC 6962, section 2.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a tree: the roots of its perfect subtrees, largest first, from which it can grow.

    A tree of `size` leaves has as many of them as `size` has one-bits, so the state is never more than 63 hashes.
    """

    def __init__(self, size: int = 0, nodes: Iterable[bytes] = ()) -> None:
        """Take up a tree where it was left.

        :raises MerkleError: no tree of this size has such a frontier.
        """
        self.size = size
        self.nodes = list(nodes)
        if not 0 <= size <= LARGEST_SIZE or len(self.nodes) != size.bit_count():
            raise MerkleError(f"a tree of {size} leaves has no frontier of {len(self.nodes)} hashes")
        if any(len(node) != HASH_BYTES for node in self.nodes):
            raise MerkleError(f"a hash in a frontier has {HASH_BYTES} bytes")

    def append(self, leaf: bytes) -> None:
        """Add the next leaf hash: it merges with each perfect subtree that it makes a pair with."""
        node, pairs = leaf, self.size
        while pairs & 1:
            node = node_hash(self.nodes.pop(), node)
            pairs >>= 1
        self.nodes.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the tree so far."""
        if not self.nodes:
            return EMPTY_ROOT
        root = self.nodes[-1]
        for node in reversed(self.nodes[:-1]):
            root = node_hash(node, root)
        return root

    def copy(self) -> "Frontier":
        """Return another one of the same state, which grows by itself."""
        return Frontier(self.size, self.nodes)

    def serialise(self) -> str:
        """Write the state as text: the size, then each hash in hex, separated by spaces."""
        return " ".join([str(self.size), *(node.hex() for node in self.nodes)])

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `serialise` wrote.

        :raises MerkleError: it is something else.
        """
        try:
            size, *nodes = text.split(" ")
            read = cls(int(size), [bytes.fromhex(node) for node in nodes])
        except ValueError as error:  # also a MerkleError
            raise MerkleError(f"not the text of a frontier: {error}") from None
        if read.serialise() != text:
            raise MerkleError("not the text of a frontier: written otherwise than we write it")
        return read


def range_hash(leaves: Iterable[bytes]) -> bytes:
    """Return the root of these leaf hashes, in order."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def inclusion_ranges(position: int, size: int) -> list[Range]:
    """Return the subtrees whose hashes prove that the leaf at `position` is in the tree of `size`, lowest first.

    :raises MerkleError: that tree has no such position.
    """
    if not 0 <= position < size <= LARGEST_SIZE:
        raise MerkleError(f"a tree of {size} leaves has no position {position}")
    ranges: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _largest_power_below(end - start)
        if position < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def consistency_ranges(first: int, second: int) -> list[Range]:
    """Return the subtrees whose hashes prove that the tree of `first` is the beginning of that of `second`.

    Nothing proves the beginning of an empty tree, nor needs to. Source: RFC 6962, section 2.1.2.

    :raises MerkleError: `first` is not from 1 to `second`.
    """
    if not 0 < first <= second <= LARGEST_SIZE:
        raise MerkleError(f"no proof leads from a tree of {first} leaves to one of {second}")
    ranges: list[Range] = []
    start, end, known = 0, second, True  # known: the old tree's root, which the verifier has, is this subtree
    while first != end:
        middle = start + _largest_power_below(end - start)
        if first <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start, known = middle, False
    if not known:
        ranges.append((start, end))
    return ranges[::-1]


def inclusion_proof(leaves: Sequence[bytes], position: int, size: int) -> list[bytes]:
    """Return the proof that the leaf at `position` is in the tree of the first `size` leaf hashes.

    :raises MerkleError: there is no such position, or there are fewer leaves.
    """
    return _hashes(leaves, size, inclusion_ranges(position, size))


def consistency_proof(leaves: Sequence[bytes], first: int, second: int) -> list[bytes]:
    """Return the proof that the tree of `first` leaf hashes is the beginning of the one of `second`.

    :raises MerkleError: `first` is not from 1 to `second`, or there are fewer leaves.
    """
    return _hashes(leaves, second, consistency_ranges(first, second))


def verify_inclusion(leaf: bytes, position: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows that the leaf hash stands at `position` in the tree of `size` and `root`.

    Source: RFC 9162, section 2.1.3.2.
    """
    if not 0 <= position < size <= LARGEST_SIZE or not _all_hashes(leaf, root, *proof):
        return False
    at, last, computed = position, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            computed = node_hash(sibling, computed)
            at, last = _up_to_a_right_child(at, last)
        else:
            computed = node_hash(computed, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and computed == root


def verify_consistency(first: int, second: int, old: bytes, new: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the tree of size `first` and root `old` is the beginning of that of `second`, `new`.

    Source: RFC 9162, section 2.1.4.2. From an empty tree any tree goes on, with no proof.
    """
    if not 0 <= first <= second <= LARGEST_SIZE or not _all_hashes(old, new, *proof):
        return False
    if first in {0, second}:
        return not proof and (old == new if first == second else old == EMPTY_ROOT)
    path = list(proof) if first.bit_count() > 1 else [old, *proof]
    return bool(path) and _rebuilt(first, second, path) == (old, new)


def _rebuilt(first: int, second: int, path: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Return both roots as the path has them, or None if it is too short or too long for these sizes."""
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if at & 1 or at == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            at, last = _up_to_a_right_child(at, last)
        else:
            new = node_hash(new, sibling)
        at, last = at >> 1, last >> 1
    return (old, new) if last == 0 else None


def _up_to_a_right_child(at: int, last: int) -> tuple[int, int]:
    """Pass the levels on which the last node has no sibling, and so has no hash in a proof."""
    while at and not at & 1:
        at, last = at >> 1, last >> 1
    return at, last


def _hashes(leaves: Sequence[bytes], size: int, ranges: Iterable[Range]) -> list[bytes]:
    if len(leaves) < size:
        raise MerkleError(f"there are {len(leaves)} leaves, not {size}")
    return [range_hash(leaves[start:end]) for start, end in ranges]


def _all_hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_BYTES for value in values)


def _largest_power_below(count: int) -> int:
    """Return the largest power of two that is smaller than `count`, which is at least 2."""
    return 1 << (count - 1).bit_length() - 1
