"""What a name stands for, now or at a moment."""

from marshmallow import fields

from registry.faces.rest.schemas.actors import Actor
from registry.faces.rest.schemas.proofs import Evidence
from registry.faces.rest.wire import Answer, Input, Text, Time


class At(Input):
    """A moment; without it, now."""

    at = Time(load_default=None)


class ProvenAt(At):
    """A moment; without it, now. With `proof=true` the answer proves the event that it rests on to be in the log."""

    proof = fields.Boolean(load_default=False, truthy={"true"}, falsy={"false"})


class ResolveQuery(ProvenAt):
    """A `models:/` URI, and the moment to resolve it as of. `proof=true` asks for the proof of what is answered."""

    uri = Text(required=True)


class SnapshotQuery(ProvenAt):
    """The moment to show the registry as of; without it, now. `proof=true` asks for the proof of each model's event."""


class Resolved(Answer):
    """The version that a URI names. `since`, `by`: when it came into its stage, and who moved it there.

    `event` is that move; it is null where the question was neither for a moment nor for a proof.
    """

    name = fields.String()
    version = fields.Integer(attribute="version.number")
    stage = fields.String()
    source = fields.String(attribute="version.source")
    run_id = fields.String(attribute="version.run_id")
    logged_model_id = fields.String(attribute="version.logged_model_id", allow_none=True)
    digest = fields.String(attribute="version.digest", allow_none=True)
    download_uri = fields.String()
    since = Time()
    by = fields.Nested(Actor)
    at = Time(allow_none=True)
    event = fields.Nested(Evidence, allow_none=True)
