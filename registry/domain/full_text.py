"""Full text: words that are to be found in the name, the description, the tags or the comments of a thing.

Each word has its set of things, and what is in all sets is found: a join for each word would be planned badly.

A word is found where a text has it or a longer one that begins with it, in any letter case. `registry.lexemes` (in
the migrations) cuts texts into words as `words_of` cuts what is looked for; it knows a camelCase word whole and in
its parts.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from sqlalchemy import CTE, ColumnElement, CompoundSelect, Select, func, intersect, or_, select, tuple_, union_all
from sqlalchemy.orm import aliased

from registry.errors import Invalid
from registry.tables import Comment, ModelVersion, ModelVersionTag, ModelWords, RegisteredModel, RegisteredModelTag

WORDS_MAX = 16
"""Most words in one question: each one is looked for in every place."""
WORD_MAX = 200
"""Longest word, in characters; PostgreSQL refuses to look for one of more than 2,046 bytes."""
SEPARATORS = re.compile(
    r"[\u0001-\u002F\u003A-\u0040\u005B-\u0060\u007B-\u00A9\u00AB-\u00B4\u00B6-\u00B9\u00BB-\u00BF\u00D7\u00F7"
    r"\u2000-\u206F\u2190-\u2BFF\u2CF9-\u2CFF\u3000-\u3004\u3008-\u3020\u3030]+"
)
"""Spaces, punctuation and signs, which are in no word; the same as in `registry.lexemes`."""
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def words_of(text: str) -> tuple[str, ...]:
    """Cut what is looked for into words, each once.

    :raises Invalid: there are none, too many, or one that is too long.
    """
    pieces = SEPARATORS.split(unicodedata.normalize("NFKC", text))
    words = tuple(dict.fromkeys(piece for piece in pieces if any(map(str.isalnum, piece))))
    if not words:
        raise Invalid("'text' has no word to look for: give at least one letter or digit.", "text")
    if len(words) > WORDS_MAX:
        raise Invalid(f"'text' has {len(words)} words, at most {WORDS_MAX} are supported.", "text")
    if max(map(len, words)) > WORD_MAX:
        raise Invalid(f"'text' has a word of more than {WORD_MAX} characters.", "text")
    return words


def in_model(words: Iterable[str]) -> ColumnElement[bool]:
    """Each of the words is in the name, the description, a tag or a comment of the model."""
    found = looked_up(map(models_with, words))
    return RegisteredModel.id.in_(select(found.c.model_id))


def in_version(words: Iterable[str]) -> ColumnElement[bool]:
    """Each of the words is in the description, a tag or a comment of the version, or in the name of its model."""
    found = looked_up(map(versions_with, words))
    return tuple_(ModelVersion.model_id, ModelVersion.number).in_(select(found.c.model_id, found.c.number))


def looked_up(sets: Iterable[CompoundSelect[Any]]) -> CTE:
    """What is in all of these sets, looked up once: where rows are few or new, a plan may ask for them row by row."""
    return intersect(*sets).cte("found").prefix_with("MATERIALIZED")


def models_with(word: str) -> CompoundSelect[int]:
    """The models that have the word; one index answers each part."""
    model, tag, comment = aliased(ModelWords), aliased(RegisteredModelTag), aliased(Comment)
    return union_all(
        select(model.model_id).where(among(word, model.name, model.description)),
        select(tag.model_id).where(has(word, tag.key, tag.value)),
        select(comment.model_id).where(comment.number.is_(None), has(word, comment.text)),
    )


def versions_with(word: str) -> CompoundSelect[Any]:
    """The versions that have the word; one index answers each part."""
    version, tag, comment = aliased(ModelVersion), aliased(ModelVersionTag), aliased(Comment)
    return union_all(
        of_models_called(word),
        select(version.model_id, version.number).where(
            version.deleted_at.is_(None), version.description != "", has(word, version.description)
        ),
        select(tag.model_id, tag.number).where(has(word, tag.key, tag.value)),
        select(comment.model_id, comment.number).where(comment.number.is_not(None), has(word, comment.text)),
    )


def of_models_called(word: str) -> Select[int, int]:
    """The versions of the models that have the word in their name."""
    model, version = aliased(ModelWords), aliased(ModelVersion)
    question = select(version.model_id, version.number).join(model, model.model_id == version.model_id)
    return question.where(among(word, model.name))


def has(word: str, *texts: Any) -> ColumnElement[bool]:
    """One of these columns has the word; in this form, which the indexes answer."""
    return among(word, *(func.registry.lexemes(text) for text in texts))


def among(word: str, *lexemes: Any) -> ColumnElement[bool]:
    """One of these sets of words has the word."""
    wanted = func.to_tsquery("simple", query(word))
    return or_(*(each.bool_op("@@")(wanted) for each in lexemes))


def query(word: str) -> str:
    """The word, or else all of its camelCase parts, as PostgreSQL writes a search for beginnings of words.

    What is quoted here holds no quote and no backslash: both are separators.
    """
    parts = HUMP.split(word)
    either = [f"'{word}':*", " & ".join(f"'{part}':*" for part in parts)]
    return " | ".join(either if len(parts) > 1 else either[:1])
