"""Proofs that something stands in the audit log."""

from typing import Any

from marshmallow import fields, validate

from registry.faces.rest.schemas.words import HIGHEST_POSITION
from registry.faces.rest.wire import Answer, Input


class CheckpointQuery(Input):
    """The size of the log that a checkpoint is wanted of; without it, the latest one."""

    size = fields.Integer(load_default=None, validate=validate.Range(0, HIGHEST_POSITION))


class InclusionQuery(Input):
    """The size of the log that a position is to be proven in; without it, that of the latest checkpoint."""

    size = fields.Integer(load_default=None, validate=validate.Range(1, HIGHEST_POSITION))


class ConsistencyQuery(Input):
    """The sizes of two logs, of which one is the beginning of the other; without `to`, up to the latest checkpoint."""

    first = fields.Integer(
        required=True,
        data_key="from",
        validate=validate.Range(0, HIGHEST_POSITION),
        metadata={"description": "The smaller size, such as that of a checkpoint kept from earlier."},
    )
    second = fields.Integer(
        load_default=None,
        data_key="to",
        validate=validate.Range(0, HIGHEST_POSITION),
        metadata={"description": "The larger size."},
    )


class Hash(fields.String):
    """A SHA-256 hash in hex."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **options: Any) -> str | None:
        return None if value is None else bytes(value).hex()


class Inclusion(Answer):
    """A proof (RFC 6962, section 2.1.1) that the leaf hash `leaf` stands at a position of the log of `size` events.

    `checkpoint` is the note that was signed at that size; null where there is none of just this size.
    """

    position = fields.Integer()
    size = fields.Integer()
    leaf = Hash()
    proof = fields.List(Hash(), attribute="hashes")
    checkpoint = fields.String(attribute="checkpoint.note", dump_default=None, allow_none=True)


class Consistency(Answer):
    """A proof (RFC 6962, section 2.1.2) that the log of `from_size` events is the beginning of that of `size`.

    `checkpoint` is the note that was signed at `size`; null where there is none of just this size.
    """

    first = fields.Integer(data_key="from_size")
    second = fields.Integer(data_key="size")
    proof = fields.List(Hash(), attribute="hashes")
    checkpoint = fields.String(attribute="checkpoint.note", dump_default=None, allow_none=True)


class Evidence(Answer):
    """The audit event that an answer rests on. `position` is null until it is sealed.

    `proof` is null where it was not asked for, and until a checkpoint covers the event.
    """

    stream = fields.String(attribute="event.stream")
    seq = fields.Integer(attribute="event.seq")
    hash = Hash(attribute="event.hash")
    position = fields.Integer(allow_none=True)
    proof = fields.Nested(Inclusion, allow_none=True)
