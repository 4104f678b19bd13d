"""The search language that every face shares: text in, a small tree of comparisons out; no SQL, no wire.

`parse()` reads the whole language. A face that speaks an older dialect takes `tokens()`, the same text cut up by the
same lexer, and arranges them itself. Which fields exist, and what may be compared with what, is for the face to say.
"""

from dataclasses import dataclass
from typing import TypeAlias, cast

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken

from registry.domain.names import check_storable
from registry.errors import Invalid

MAX_LENGTH = 20_000
"""Longest filter, in characters."""
MAX_DEPTH = 32
"""How deep AND, OR and NOT may nest: whoever walks the tree may recurse."""
MAX_COMPARISONS = 100
"""Most comparisons in one filter: each may become a join, and the database plans joins slowly."""

OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE")
"""What compares with one value; a list is compared with IN and NOT IN."""

Scalar: TypeAlias = str | int | float
Value: TypeAlias = Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One field, or the tag `key`, compared with a value; only IN and NOT IN have a tuple of them."""

    field: str
    key: str | None
    op: str
    value: Value


@dataclass(frozen=True, slots=True)
class IsNull:
    """The field has no value, or the thing has no tag `key`; IS NOT NULL is its `Not`."""

    field: str
    key: str | None


@dataclass(frozen=True, slots=True)
class Not:
    """Whatever the term does not match."""

    term: "Node"


@dataclass(frozen=True, slots=True)
class And:
    """What all terms match."""

    terms: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """What at least one term matches."""

    terms: tuple["Node", ...]


Node: TypeAlias = Comparison | IsNull | Not | And | Or


@dataclass(frozen=True, slots=True)
class OrderKey:
    """One field to sort by."""

    field: str
    descending: bool = False


def parse(text: str) -> Node:
    """Read a filter in the whole language: AND, OR, NOT, parentheses, IN, IS NULL.

    :raises Invalid: the text is no filter, or one too large.
    """
    _require_sane(text, "filter")
    try:
        node = cast("Node", _PARSER.parse(text, start="disjunction"))
    except UnexpectedInput as error:
        raise Invalid(_complaint(error), "filter") from None
    _require_small(node)
    return node


def tokens(text: str, field: str = "filter") -> list[Token]:
    """Cut a text into tokens, whatever their order; the kinds (`Token.type`) are the terminals of filter.lark.

    :raises Invalid: the text is too long, or holds what no text in the registry can.
    """
    _require_sane(text, field)
    return cast("list[Token]", _PARSER.parse(text, start="tokens"))


def target(text: str, field: str = "filter") -> tuple[str, str | None]:
    """Tell which field, or which tag, an identifier means: ``tags.`a b` `` is ``("tag", "a b")``.

    :raises Invalid: the identifier has a prefix other than `attribute`, `tag` or `tags`.
    """
    prefix, dot, name = text.partition(".")
    if not dot:
        return text, None
    if prefix not in ("attribute", "tag", "tags"):
        message = f"Invalid entity type '{prefix}'. Valid entity types are ('attribute', 'tag', 'tags')"
        raise Invalid(message, field)
    return (name, None) if prefix == "attribute" else ("tag", unquoted(name))


def literal(token: Token) -> Scalar:
    """Return the value that a quoted string or a number stands for."""
    return number(token) if token.type == "NUMBER" else unquoted(token)


def operator(text: str) -> str:
    """Return an operator in its one spelling: upper case, single spaces."""
    return " ".join(text.upper().split())


def unquoted(text: str) -> str:
    """Take off one pair of quotes of any kind, if there is one; nothing inside them is an escape."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"`":
        return text[1:-1]
    return str(text)


def require_few(comparisons: int) -> None:
    """Refuse a filter with more comparisons than the database should plan for.

    :raises Invalid: there are too many.
    """
    if comparisons > MAX_COMPARISONS:
        message = f"Invalid filter: it has {comparisons} comparisons, at most {MAX_COMPARISONS} are supported."
        raise Invalid(message, "filter")


def number(text: str) -> int | float:
    """Return what a decimal number stands for."""
    try:
        return int(text)
    except ValueError:  # a fraction, an exponent, or thousands of digits
        return float(text)


def _require_sane(text: str, field: str) -> None:
    if len(text) > MAX_LENGTH:
        raise Invalid(f"'{field}' has {len(text)} characters, at most {MAX_LENGTH} are supported.", field)
    check_storable(field, text)


def _require_small(node: Node) -> None:
    """Go through the tree level by level, because recursion is what it must be kept from."""
    level, depth, leaves = [node], 0, 0
    while level:
        depth += 1
        leaves += sum(isinstance(each, Comparison | IsNull) for each in level)
        level = [term for each in level for term in _terms(each)]
        if depth > MAX_DEPTH:
            raise Invalid(f"Invalid filter: it nests more than {MAX_DEPTH} levels deep.", "filter")
    require_few(leaves)


def _terms(node: Node) -> tuple[Node, ...]:
    match node:
        case And(terms) | Or(terms):
            return terms
        case Not(term):
            return (term,)
        case _:
            return ()


def _complaint(error: UnexpectedInput) -> str:
    if not isinstance(error, UnexpectedToken) or error.token.type == "$END":
        return "Invalid filter: it ends too early."
    return f"Invalid filter: unexpected {str(error.token)!r} at character {(error.pos_in_stream or 0) + 1}."


class _Builder(Transformer[Token, Node]):
    """Turns each rule of filter.lark into its node while the parser goes, so that no syntax tree is ever built."""

    def disjunction(self, children: list[Node | Token]) -> Node:
        return Or(_nodes(children))

    def conjunction(self, children: list[Node | Token]) -> Node:
        return And(_nodes(children))

    def negation(self, children: list[Node | Token]) -> Node:
        return Not(*_nodes(children))

    def comparison(self, children: tuple[tuple[str, str | None], Token, Scalar]) -> Node:
        (field, key), token, value = children
        op = operator(token)
        if op not in OPERATORS:
            message = f"Invalid comparator: {op}. Valid comparators are {', '.join(OPERATORS)}, IN and NOT IN."
            raise Invalid(message, "filter")
        return Comparison(field, key, op, value)

    def membership(self, children: tuple[tuple[str, str | None], Token, tuple[Scalar, ...]]) -> Node:
        (field, key), token, values = children
        return Comparison(field, key, operator(token), values)

    def nullness(self, children: tuple[tuple[str, str | None], Token]) -> Node:
        absent = IsNull(*children[0])
        return Not(absent) if "NOT" in operator(children[1]) else absent

    def target(self, children: list[Token]) -> tuple[str, str | None]:
        return target(str(children[0]))

    def literal(self, children: list[Token]) -> Scalar:
        return literal(children[0])

    def values(self, children: list[Scalar]) -> tuple[Scalar, ...]:
        return tuple(children)

    def tokens(self, children: list[Token]) -> list[Token]:
        return children


def _nodes(children: list[Node | Token]) -> tuple[Node, ...]:
    return tuple(child for child in children if not isinstance(child, Token))


_PARSER = Lark.open(
    "filter.lark",
    rel_to=__file__,
    parser="lalr",
    lexer="basic",  # not contextual: both starts must see the same tokens
    start=["disjunction", "tokens"],
    transformer=_Builder(),
)
