"""What a filter and an order may say on the MLflow face: AND-ed comparisons of a few fields, with MLflow's refusals.

The texts are MLflow's, as far as they are fixed; scripts match on them. Where MLflow names a set in whatever order it
happens to come, the order here is always the same. Source: MLflow's search syntax.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from lark import Token

from registry.domain import filtering
from registry.domain.filtering import Comparison, OrderKey, Value
from registry.domain.names import PROMPT_TAG
from registry.errors import Invalid


@dataclass(frozen=True, slots=True)
class Searchable:
    """The fields of one kind of thing, and which of them compare with a list, which with a number."""

    fields: tuple[str, ...]
    lists: tuple[str, ...]
    numbers: tuple[str, ...]
    order: tuple[str, ...]


MODELS = Searchable(fields=("name",), lists=("name",), numbers=(), order=("name", "timestamp"))
VERSIONS = Searchable(
    fields=("name", "run_id", "source_path", "version_number"),
    lists=("name", "run_id"),
    numbers=("version_number",),
    order=("name", "version_number", "creation_timestamp", "last_updated_timestamp"),
)

ANY_TEXT = ("=", "!=", "LIKE", "ILIKE")
ANY_LIST = ("IN", "NOT IN")
ANY_NUMBER = ("=", "!=", "<", "<=", ">", ">=")
HIGHEST_INTEGER = 2**63 - 1
"""Beyond it PostgreSQL compares as numeric, without an index; no version has such a number."""

IN_A_LIST = "While parsing a list in the query,"

MODEL_ORDER = {
    "name": "name",
    "timestamp": "last_updated_timestamp",
    "last_updated_timestamp": "last_updated_timestamp",
}
NEWEST_CHANGE_FIRST = OrderKey("last_updated_timestamp", descending=True)
BY_NAME = OrderKey("name")
HIGHEST_NUMBER_FIRST = OrderKey("version_number", descending=True)


@dataclass(frozen=True, slots=True)
class Term:
    """One token of a filter, or all that stands in one pair of parentheses (`inside`)."""

    kind: str
    text: str
    inside: tuple[Token, ...] = ()


GROUP = "GROUP"
STRINGS = frozenset({"SINGLE", "DOUBLE"})
LITERALS = STRINGS | {"NUMBER"}
IDENTIFIERS = frozenset({"NAME", "QUALIFIED", "DOUBLE", "BACKQUOTED"})
OPERANDS = STRINGS | IDENTIFIERS | {"NUMBER", "WORD", "NULL", GROUP}
CLAUSES = (
    (OPERANDS, frozenset({"COMPARATOR"}), OPERANDS),
    (OPERANDS, frozenset({"MEMBERSHIP"}), frozenset({GROUP})),
    (OPERANDS, frozenset({"NULLNESS"})),
)
"""What counts as one comparison, by the kinds of its terms. Any operand will do here: a senseless one is refused by
name later."""


def parse_model_filter(text: str | None) -> list[Comparison]:
    """Read the filter of a search for registered models; no text or an empty one matches everything.

    :raises Invalid: the filter makes no sense, or asks for what cannot be searched for.
    """
    return _parse_filter(text, MODELS)


def parse_version_filter(text: str | None) -> list[Comparison]:
    """Read the filter of a search for model versions; no text or an empty one matches everything.

    :raises Invalid: the filter makes no sense, or asks for what cannot be searched for.
    """
    return _parse_filter(text, VERSIONS)


def parse_model_order_by(entries: Sequence[str]) -> list[OrderKey]:
    """Read the order of a search for registered models and complete it, so that it leaves no ties.

    :raises Invalid: an entry that is no key, an unknown key, or twice the same.
    """
    return _completed(_order(entries, _model_order_key), [BY_NAME])


def parse_version_order_by(entries: Sequence[str]) -> list[OrderKey]:
    """Read the order of a search for model versions and complete it, so that it leaves no ties.

    :raises Invalid: an entry that is no key, an unknown key, or twice the same.
    """
    keys = _order(entries, _version_order_key) or [NEWEST_CHANGE_FIRST]
    return _completed(keys, [BY_NAME, HIGHEST_NUMBER_FIRST])


def split_prompt_mode(comparisons: Iterable[Comparison]) -> tuple[bool, list[Comparison]]:
    """Tell whether prompts are asked for (True: only prompts, False: no prompts) and what else must hold.

    The first comparison with the prompt tag decides. If it asks for prompts, it stays among the others and holds as
    it is written; if not, it and its like are dropped: `!= 'true'` must also find models that have no such tag.
    """
    everything = list(comparisons)
    about_prompts = [each for each in everything if (each.field, each.key) == ("tag", PROMPT_TAG)]
    if about_prompts and _asks_for_prompts(about_prompts[0]):
        return True, everything
    return False, [each for each in everything if each not in about_prompts]


def _asks_for_prompts(comparison: Comparison) -> bool:
    return (comparison.op, str(comparison.value).lower()) in {("=", "true"), ("!=", "false")}


def _parse_filter(text: str | None, searchable: Searchable) -> list[Comparison]:
    if not text:
        return []
    terms = _terms(text)
    if not terms:
        raise _refusal(f"Invalid filter '{text}'. Could not be parsed.")
    if any(term.kind == "SEMICOLON" for term in terms[:-1]):
        message = f"Search filter contained multiple expression {text!r}. Provide AND-ed expression list."
        raise _refusal(message)
    clauses = _clauses(terms)
    filtering.require_few(len(clauses))
    comparisons = [_comparison(clause, searchable) for clause in clauses]
    return [_checked(comparison, searchable) for comparison in comparisons]


def _terms(text: str) -> list[Term]:
    """Cut a filter into terms; parentheses that do not pair up are terms like any other."""
    tokens = filtering.tokens(text)
    closing = _closing(tokens)
    terms = []
    index = 0
    while index < len(tokens):
        first, end = tokens[index], closing.get(index, index)
        if end > index:
            terms.append(Term(GROUP, text[first.start_pos : tokens[end].end_pos], tuple(tokens[index + 1 : end])))
        else:
            terms.append(Term(first.type, str(first)))
        index = end + 1
    return terms


def _closing(tokens: list[Token]) -> dict[int, int]:
    """Map each opening parenthesis to the one that closes it."""
    pairs, waiting = {}, []
    for index, token in enumerate(tokens):
        if token.type == "LPAR":
            waiting.append(index)
        elif token.type == "RPAR" and waiting:
            pairs[waiting.pop()] = index
    return pairs


def _clauses(terms: list[Term]) -> list[list[Term]]:
    """Find the comparisons among the terms, with AND between them or without; nothing else may be left."""
    clauses, strays = [], []
    index = 0
    while index < len(terms):
        size = _clause_size(terms, index)
        if size:
            clauses.append(terms[index : index + size])
        elif terms[index].kind != "AND":
            strays.append(terms[index].text)
        index += size or 1
    if strays:
        raise _refusal(f"Invalid clause(s) in filter string: {', '.join(strays)}")
    return clauses


def _clause_size(terms: list[Term], start: int) -> int:
    for shape in CLAUSES:
        clause = terms[start : start + len(shape)]
        if len(clause) == len(shape) and all(term.kind in kinds for term, kinds in zip(clause, shape, strict=True)):
            return len(shape)
    return 0


def _comparison(clause: list[Term], searchable: Searchable) -> Comparison:
    subject, operator, *values = clause
    field, key = _target(subject, searchable)
    value = _value(values[0], field, key, searchable) if values else ""  # IS NULL, which no operator table has
    return Comparison(field, key, filtering.operator(operator.text), value)


def _target(term: Term, searchable: Searchable) -> tuple[str, str | None]:
    if term.kind not in IDENTIFIERS:
        raise _refusal(f"Invalid comparison clause. Expected 'Identifier' found '{term.text}'")
    field, key = filtering.target(term.text)
    if key is None and field not in searchable.fields:
        raise _refusal(f"Invalid attribute key '{field}' specified. Valid keys are '{_braced(searchable.fields)}'")
    return field, key


def _value(term: Term, field: str, key: str | None, searchable: Searchable) -> Value:
    if term.kind in STRINGS:
        return filtering.unquoted(term.text)
    if term.kind in IDENTIFIERS:
        raise _unquoted(term.text)
    if key is not None:
        raise _refusal(f"Expected a quoted string value for tag (e.g. 'my-value'). Got value {term.text}")
    if term.kind == GROUP:
        return _list(term, field, searchable)
    if term.kind == "NUMBER" and searchable.numbers:
        return _number(term, field, searchable)
    message = "Expected a quoted string value or a list of quoted string values for attributes. Got value "
    raise _refusal(message + term.text)


def _list(term: Term, field: str, searchable: Searchable) -> tuple[filtering.Scalar, ...]:
    if field not in searchable.lists:
        message = f"Only {list(searchable.lists)} attributes support comparison with a list of quoted string values."
        raise _refusal(message)
    if not term.inside:
        raise _refusal(f"{IN_A_LIST} expected a non-empty list of string values, but got empty list")
    items, commas = term.inside[::2], term.inside[1::2]
    if any(item.type not in LITERALS for item in items) or any(comma.type != "COMMA" for comma in commas):
        raise _refusal(f"{IN_A_LIST} expected a non-empty list of string values, but got ill-formed list.")
    values = tuple(filtering.literal(item) for item in items)
    if not all(isinstance(value, str) for value in values):
        wanted = "expected string value, punctuation, or whitespace, but got different type in list:"
        raise _refusal(f"{IN_A_LIST} {wanted} {values}")
    return values


def _number(term: Term, field: str, searchable: Searchable) -> int | float:
    if field not in searchable.numbers:
        numeric = _braced(searchable.numbers)
        raise _refusal(f"Only the '{numeric}' attributes support comparison with numeric values.")
    return filtering.number(term.text)


def _checked(comparison: Comparison, searchable: Searchable) -> Comparison:
    """Check what can be judged only once every comparison has been read, which is MLflow's order of refusals."""
    if comparison.field in searchable.numbers:
        return _checked_number(comparison)
    subject, operators = ("attribute", ANY_TEXT + ANY_LIST) if comparison.key is None else ("tag", ANY_TEXT)
    if comparison.op not in operators:
        raise _refusal(f"Invalid comparator for {subject}: {comparison.op}")
    if isinstance(comparison.value, tuple) and comparison.op not in ANY_LIST:
        raise _refusal(f"Invalid comparator for a list of values: {comparison.op}. Use IN or NOT IN.")
    return comparison


def _checked_number(comparison: Comparison) -> Comparison:
    if comparison.op not in ANY_NUMBER:
        raise _refusal(f"Invalid comparator for attribute {comparison.field}: {comparison.op}")
    return replace(comparison, value=_integer(comparison.field, comparison.value))


def _integer(field: str, value: Value) -> int:
    """Read a number or a quoted number; a fraction is refused, also one that is whole."""
    number = value
    with suppress(ValueError):  # text that is no integer stays text, and is refused as it was written
        number = int(value) if isinstance(value, str) else value
    if not isinstance(number, int) or abs(number) > HIGHEST_INTEGER:
        raise _refusal(f"Invalid value for numeric attribute '{field}': {value!r}")
    return number


def _order(entries: Sequence[str], read: Callable[[str], OrderKey]) -> list[OrderKey]:
    keys: list[OrderKey] = []
    for entry in entries:
        key = read(entry)
        if key.field in {earlier.field for earlier in keys}:
            raise Invalid(f"`order_by` contains duplicate fields: {list(entries)}", "order_by")
        keys.append(key)
    return keys


def _completed(keys: list[OrderKey], ties: list[OrderKey]) -> list[OrderKey]:
    given = {key.field for key in keys}
    return keys + [tie for tie in ties if tie.field not in given]


def _model_order_key(entry: str) -> OrderKey:
    key, descending = _order_entry(entry)
    if key not in MODEL_ORDER:
        message = f"Invalid order by key '{key}' specified. Valid keys are '{_braced(MODELS.order)}'"
        raise Invalid(message, "order_by")
    return OrderKey(MODEL_ORDER[key], descending)


def _version_order_key(entry: str) -> OrderKey:
    text, descending = _order_entry(entry)
    field, key = filtering.target(text, "order_by")
    field = filtering.unquoted(field)
    if key is not None:
        message = f"Invalid order by key '{key}' specified. Valid keys are {_braced(VERSIONS.order)}"
        raise Invalid(message, "order_by")
    if field not in VERSIONS.order:
        message = f"Invalid attribute key '{field}' specified. Valid keys are '{_braced(VERSIONS.order)}'"
        raise Invalid(message, "order_by")
    return OrderKey(field, descending)


def _order_entry(entry: str) -> tuple[str, bool]:
    """Split an entry into its key and whether it descends."""
    words = filtering.tokens(entry, "order_by")
    kinds = [word.type for word in words]
    if not kinds or kinds[0] not in IDENTIFIERS or kinds[1:] not in ([], ["NAME"]):
        raise Invalid(f"Invalid order_by clause '{entry}'. Could not be parsed.", "order_by")
    direction = words[-1].lower() if kinds[1:] else "asc"
    if direction not in {"asc", "desc"}:
        raise Invalid(f"Invalid ordering key in order_by clause '{entry}'.", "order_by")
    return filtering.unquoted(words[0]), direction == "desc"


def _unquoted(text: str) -> Invalid:
    return _refusal(
        "Parameter value is either not quoted or unidentified quote types used for string value "
        f"{text}. Use either single or double quotes."
    )


def _braced(words: Iterable[str]) -> str:
    return f"{{{', '.join(map(repr, words))}}}"


def _refusal(message: str) -> Invalid:
    return Invalid(message, "filter")
