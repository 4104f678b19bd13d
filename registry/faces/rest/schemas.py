"""Requests and answers of `/api/v1`: version numbers are numbers, times RFC 3339 text in UTC, stages exact words."""

from collections.abc import Collection
from typing import Any

from marshmallow import ValidationError, fields, post_dump, validate, validates_schema

from registry.domain.names import COMMENT_MAX, DESCRIPTION_MAX, HIGHEST_NUMBER, NAME_MAX, REASON_MAX
from registry.faces.rest import errors
from registry.faces.rest.wire import PAGE_MAX, Answer, Flag, Input, NextPage, PageQuery, Text, Time, positive, stage
from registry.vocabulary import Action, Effect, Permission, Role, Stage

HIGHEST_POSITION = 2**63 - 1
LONGEST_WAIT_SECONDS = 30
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
NUMBERS = {"type": "object", "additionalProperties": {"type": "integer"}}
MODEL_NAME = {"minLength": 1, "maxLength": NAME_MAX, "pattern": "^[^/:]+$"}
NAMES = {"type": "array", "items": {"type": "string"}}
ROLES = [*map(str, Role), "owner", None]
SOME_STAGES = {"type": ["array", "null"], "items": {"type": "string"}}
CHANGES = {
    "type": "object",
    "description": "For each field that changed, what it was and what it is.",
    "additionalProperties": {"type": "array", "minItems": 2, "maxItems": 2, "items": {}},
}

FILTER = (
    "Comparisons with AND, OR, NOT and parentheses: `name LIKE 'churn%' AND (tag.team = 'risk' OR tag.team IS NULL)`. "
    "Operators: =, !=, <, <=, >, >=, LIKE, ILIKE, IN, NOT IN, IS NULL, IS NOT NULL. A refusal names what fits. "
    "Of aliases, tags and the stages of a model, one has to match."
)
ORDER = "Fields with asc or desc: `updated_at desc, name`; several in one, or repeated."
WORDS = "Words, each of which begins a word of the name, the description, a tag or a comment, in any letter case."


def in_order(stages: Collection[Stage] | None) -> list[Stage] | None:
    """Stages in the order in which versions go through them; None stays all of them."""
    return None if stages is None else [stage for stage in Stage if stage in stages]


class CreateModel(Input):
    """A name to register."""

    name = Text(required=True, metadata=MODEL_NAME)
    description = Text(load_default=None, allow_none=True)
    tags = fields.Dict(keys=Text(), values=Text(), load_default=dict)


class AmendVersion(Input):
    """What to change of a version; what is left out stays. A description of null is cleared."""

    description = Text(allow_none=True, validate=validate.Length(max=DESCRIPTION_MAX))


class AmendModel(AmendVersion):
    """What to change of a model; what is left out stays. Another name renames it."""

    name = Text(metadata=MODEL_NAME)


class CreateVersion(Input):
    """A version to register. `source`: where it comes from, such as `runs:/…`, `models:/m-…` or `s3://…`.

    With `stage` it goes there at once, by the rules of a transition.
    """

    source = Text(required=True)
    run_id = Text(load_default=None, allow_none=True)
    run_link = Text(load_default="")
    description = Text(load_default=None, allow_none=True)
    logged_model_id = Text(load_default=None, allow_none=True)
    digest = Text(load_default=None, allow_none=True)
    tags = fields.Dict(keys=Text(), values=Text(), load_default=dict)
    stage = stage()
    archive_existing = Flag()
    expected_current = positive(allow_none=True)
    reason = Text(load_default=None, allow_none=True, validate=validate.Length(max=REASON_MAX))

    @validates_schema
    def stage_comes_first(self, data: dict[str, Any], **_: Any) -> None:
        """What belongs to a move says nothing where none is asked for."""
        for field in ("archive_existing", "expected_current"):
            if field in data and "stage" not in data:
                raise ValidationError("Says nothing without 'stage'.", field)


class Rollback(Input):
    """A stage goes back to its previous holder.

    With `expected_current`, only if that version (null: none) stands there now. With `dry_run` nothing is kept.
    """

    reason = Text(load_default=None, allow_none=True, validate=validate.Length(max=REASON_MAX))
    expected_current = positive(allow_none=True)
    dry_run = Flag(load_default=False)


class Transition(Rollback):
    """A move to a stage. With `expected_current`, only if that version (null: none) stands there now.

    With `dry_run` nothing is kept: the answer, or the refusal, is the one that would be.
    """

    to = stage(required=True)
    archive_existing = Flag(load_default=False)


class Restore(Input):
    """Why something deleted comes back."""

    reason = Text(load_default=None, allow_none=True, validate=validate.Length(max=REASON_MAX))


class RestoreModel(Restore):
    """Why a deleted model comes back, and, where its own name is taken, under which other one."""

    name = Text(load_default=None, allow_none=True, metadata=MODEL_NAME)


class CreateToken(Input):
    """A token for the principal called `name`, who is made if there is none.

    Without `expires_at` it lasts as long as the settings of the service say. It is good for no more than its role, for
    models whose names match one of `models` and for moves to `stages`. A principal that is made here gets a grant of
    the role over all models; one that is there only `with_grant`.
    """

    name = Text(required=True, metadata={"minLength": 1, "description": "Whose token it is."})
    role = fields.Enum(Role, by_value=True, required=True)
    models = fields.List(Text(), load_default=None, allow_none=True)
    stages = fields.List(fields.Enum(Stage, by_value=True), load_default=None, allow_none=True)
    with_grant = Flag(load_default=False)
    description = Text(load_default=None, allow_none=True)
    expires_at = Time(load_default=None, allow_none=True)


class CreateGrant(Input):
    """A grant: to a principal or to a group, of a role or of some permissions, over all models or those of a pattern.

    With `stages_from` or `stages_to` it is about moves from or to these stages alone. A denial names permissions;
    that of `read` denies everything, and hides the models.
    """

    principal = Text(load_default=None, allow_none=True, metadata={"description": "The principal's name."})
    group = Text(load_default=None, allow_none=True, metadata={"description": "The group's name."})
    effect = fields.Enum(Effect, by_value=True, load_default=Effect.ALLOW)
    role = fields.Enum(Role, by_value=True, load_default=None, allow_none=True)
    permissions = fields.List(fields.Enum(Permission, by_value=True), load_default=None, allow_none=True)
    pattern = Text(load_default="*", metadata={"minLength": 1})
    stages_from = fields.List(stage(), load_default=None, allow_none=True)
    stages_to = fields.List(stage(), load_default=None, allow_none=True)
    description = Text(load_default=None, allow_none=True)


class TagValue(Input):
    """The value of a tag."""

    value = Text(required=True)


class TagChanges(Input):
    """Tags to set, by key; null removes one. What is not named stays."""

    tags = fields.Dict(keys=Text(), values=Text(allow_none=True), required=True)


class AliasTarget(Input):
    """The version that an alias shall name."""

    version = positive(required=True)


class CommentText(Input):
    """What a comment says."""

    text = Text(required=True, validate=validate.Length(max=COMMENT_MAX))


class At(Input):
    """A moment; without it, now."""

    at = Time(load_default=None)


class ProvenAt(At):
    """A moment; without it, now. With `proof=true` the answer proves the event that it rests on to be in the log."""

    proof = fields.Boolean(load_default=False, truthy={"true"}, falsy={"false"})


class ResolveQuery(ProvenAt):
    """A `models:/` URI, and the moment to resolve it as of. `proof=true` asks for the proof of what is answered."""

    uri = Text(required=True)


class VersionAuditQuery(PageQuery):
    """Which audit events to show, and how. `since` is inclusive, `until` exclusive; `actor` is a name or an id;
    `subject` is what the events themselves call it, such as `token:7` or `model:42/version:3`.

    `format`: `json` answers with a page, newest first, of 100 events where no limit is given and of 1000 at most;
    `jsonl` and `csv` with a file of everything, oldest first, unless there is a limit. Where nothing else is asked,
    `jsonl` has the events that the latest checkpoint covers, in the order of their positions, and then the checkpoint.

    `after` follows the log: sealed events behind this position (-1: all), in the order of positions; with `wait`, up
    to so many seconds later, if there are none yet. `next` goes on from there. Where too many wait already, the answer
    comes at once.
    """

    actor = Text(load_default=None)
    action = fields.Enum(Action, by_value=True, load_default=None)
    subject = Text(load_default=None)
    since = Time(load_default=None)
    until = Time(load_default=None)
    request_id = Text(load_default=None)
    order = fields.String(load_default=None, validate=validate.OneOf(["newest", "oldest"]))
    format = fields.String(load_default="json", validate=validate.OneOf(["json", "jsonl", "csv"]))
    limit = fields.Integer(load_default=None, validate=validate.Range(1, HIGHEST_NUMBER))
    after = fields.Integer(load_default=None, validate=validate.Range(-1, HIGHEST_POSITION))
    wait = fields.Integer(load_default=0, validate=validate.Range(0, LONGEST_WAIT_SECONDS))

    @validates_schema
    def check_following(self, asked: dict[str, Any], **_: Any) -> None:
        """Who follows the log reads it in the order of positions, page after page."""
        if asked["after"] is None:
            if asked["wait"]:
                raise ValidationError("Says nothing without 'after'.", "wait")
            return
        given = [("order", asked["order"] == "newest"), ("format", asked["format"] != "json")]
        for field, wrong in [*given, ("page_token", asked["page_token"] is not None)]:
            if wrong:
                raise ValidationError("Does not go with 'after', which gives pages in the order of positions.", field)

    @validates_schema
    def check_paging(self, asked: dict[str, Any], **_: Any) -> None:
        """A page has at most so many events; an export has no pages."""
        if asked["format"] == "json":
            if (asked["limit"] or 1) > PAGE_MAX:
                raise ValidationError(f"A page has at most {PAGE_MAX} events; format=jsonl and csv have all.", "limit")
        elif asked["page_token"] is not None:
            raise ValidationError("An export has no pages: it holds all events unless there is a limit.", "page_token")


class ModelAuditQuery(VersionAuditQuery):
    """Which audit events of a model to show, and how."""

    version = fields.Integer(load_default=None, validate=validate.Range(1, HIGHEST_NUMBER))


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


class SnapshotQuery(ProvenAt):
    """The moment to show the registry as of; without it, now. `proof=true` asks for the proof of each model's event."""


class AuditQuery(ModelAuditQuery):
    """Which audit events to show, and how; `model` finds every model that has, or ever had, this name."""

    model = Text(load_default=None)


class Tags(Answer):
    """All tags, by key."""

    tags = fields.Raw(metadata=TEXTS)


class OneTag(Answer):
    """A tag."""

    key = fields.String()
    value = fields.String()


class Aliases(Answer):
    """All aliases of a model, with the number of the version that each names."""

    aliases = fields.Raw(metadata=NUMBERS)


class OneAlias(Answer):
    """An alias, and the version that it names."""

    alias = fields.String()
    version = fields.Integer()


class SearchQuery(PageQuery):
    """What to look for: a filter, words, an order; whether prompts count, and whether to count everything found."""

    filter = Text(load_default="", metadata={"description": FILTER})
    order_by = fields.List(Text(), load_default=list, metadata={"description": ORDER})
    text = Text(load_default=None, metadata={"description": WORDS})
    prompts = fields.String(load_default="exclude", validate=validate.OneOf(["exclude", "include", "only"]))
    include_total = fields.Boolean(load_default=False, truthy={"true"}, falsy={"false"})


class SearchInModelQuery(SearchQuery):
    """The same within one model, which may well be a prompt."""

    prompts = fields.String(load_default="include", validate=validate.OneOf(["exclude", "include", "only"]))


class OneVersion(Answer):
    """A model version."""

    name = fields.String(attribute="model.name")
    version = fields.Integer(attribute="number")
    stage = fields.String()
    source = fields.String()
    run_id = fields.String()
    run_link = fields.String()
    logged_model_id = fields.String(allow_none=True)
    digest = fields.String(allow_none=True)
    description = fields.String(allow_none=True)
    tags = fields.Function(lambda version: {tag.key: tag.value for tag in version.tags}, metadata=TEXTS)
    aliases = fields.Function(lambda version: [alias.alias for alias in version.aliases], metadata=NAMES)
    created_at = Time()
    updated_at = Time()
    created_by = fields.String()


class OneModel(Answer):
    """A registered model with the newest version of each stage."""

    id = fields.Integer(attribute="model.id")
    name = fields.String(attribute="model.name")
    description = fields.String(attribute="model.description", allow_none=True)
    tags = fields.Function(lambda detail: {tag.key: tag.value for tag in detail.model.tags}, metadata=TEXTS)
    aliases = fields.Function(
        lambda detail: {alias.alias: alias.number for alias in detail.model.aliases}, metadata=NUMBERS
    )
    latest_versions = fields.List(fields.Nested(OneVersion))
    created_at = Time(attribute="model.created_at")
    updated_at = Time(attribute="model.updated_at")
    created_by = fields.String(attribute="model.created_by")


class Found(Answer):
    """A page of what was searched for. `total`: how many there are on all pages, where that was asked for."""

    may_lack = frozenset({"total"})
    next = NextPage()
    total = fields.Integer()

    @post_dump
    def leave_out(self, answer: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Show no total where none was asked for."""
        return {name: value for name, value in answer.items() if name != "total" or value is not None}


class Models(Found):
    """A page of registered models."""

    items = fields.List(fields.Nested(OneModel))


class Versions(Found):
    """A page of model versions."""

    items = fields.List(fields.Nested(OneVersion))


class OneComment(Answer):
    """A comment."""

    id = fields.Integer(attribute="comment.id")
    author = fields.String(attribute="comment.author")
    author_name = fields.String()
    text = fields.String(attribute="comment.text")
    created_at = Time(attribute="comment.created_at")
    updated_at = Time(attribute="comment.updated_at")


class Comments(Answer):
    """A page of comments, oldest first."""

    items = fields.List(fields.Nested(OneComment))
    next = NextPage()


class Actor(Answer):
    """Who acted: a stable id, and what it is called today."""

    id = fields.String()
    name = fields.String()


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


class Tenure(Answer):
    """From when until when (null: it lasts) a version stood in a stage.

    `event` brought it there; it is null where the question was neither for a moment nor for a proof.
    """

    version = fields.Integer(attribute="number")
    stage = fields.String()
    since = Time()
    until = Time(allow_none=True)
    by = fields.Nested(Actor)
    reason = fields.String(allow_none=True)
    ended_by = fields.Nested(Actor, allow_none=True)
    event = fields.Nested(Evidence, allow_none=True)


class Tenures(Answer):
    """Who stands or stood in a stage."""

    items = fields.List(fields.Nested(Tenure))


class PastTenures(Tenures):
    """A page of who stood in a stage, the latest first."""

    next = NextPage()


class Move(Answer):
    """A move of a version. `from` is null where it was registered or restored, `to` where it was deleted or purged."""

    version = fields.Integer(attribute="number")
    action = fields.String()
    before = fields.String(data_key="from", allow_none=True)
    after = fields.String(data_key="to", allow_none=True)
    at = Time()
    by = fields.Nested(Actor)
    reason = fields.String(allow_none=True)
    request_id = fields.String()


class Moves(Answer):
    """A page of moves, newest first."""

    items = fields.List(fields.Nested(Move))
    next = NextPage()


class TrashedModel(Answer):
    """A deleted model, and how many versions would come back with it."""

    id = fields.Integer(attribute="model.id")
    name = fields.String(attribute="model.name")
    deleted_at = Time(attribute="model.deleted_at")
    deleted_by = fields.Nested(Actor, allow_none=True)
    reason = fields.String(allow_none=True)
    versions = fields.Integer()


class TrashedModels(Answer):
    """A page of deleted models, latest deleted first."""

    items = fields.List(fields.Nested(TrashedModel))
    next = NextPage()


class TrashedVersion(Answer):
    """A deleted version of a model that is there. `stage`: where it stood."""

    model_id = fields.Integer(attribute="version.model_id")
    name = fields.String()
    version = fields.Integer(attribute="version.number")
    stage = fields.String(attribute="version.stage")
    deleted_at = Time(attribute="version.deleted_at")
    deleted_by = fields.Nested(Actor, allow_none=True)
    reason = fields.String(allow_none=True)


class TrashedVersions(Answer):
    """A page of deleted versions, latest deleted first."""

    items = fields.List(fields.Nested(TrashedVersion))
    next = NextPage()


class OneToken(Answer):
    """What may be known about a token. `name` is its principal's."""

    id = fields.Integer()
    name = fields.String(attribute="principal_name")
    role = fields.String()
    models = fields.List(fields.String(), allow_none=True)
    stages = fields.List(fields.String(), allow_none=True)
    description = fields.String(allow_none=True)
    created_at = Time()
    expires_at = Time(allow_none=True)
    revoked_at = Time(allow_none=True)
    last_used_at = Time(allow_none=True)


class NewToken(OneToken):
    """A token just made, with its secret, which is shown this once; a repeated answer has null in its place.

    `grant_id`: the grant that came along with it; null where the role only narrows what the principal is granted.
    """

    grant_id = fields.Integer(allow_none=True)
    secret = fields.String(allow_none=True)


class Tokens(Answer):
    """A page of tokens, oldest first."""

    items = fields.List(fields.Nested(OneToken))
    next = NextPage()


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


class Event(Answer):
    """An audit event. `line` is the stored line, whose hash is `hash`; the rest is that line made readable.

    A text that was erased is shown as its digest, `{"salted_sha256": …}`; a reason as that in JSON.
    """

    at = Time()
    actor = fields.Nested(Actor, attribute="actor")
    credential = fields.String(attribute="line.credential", allow_none=True)
    action = fields.String(attribute="event.action")
    subject = fields.String(attribute="event.object")
    model = fields.Function(lambda entry: entry.line.get("model"), metadata={"type": ["string", "null"]})
    version = fields.Integer(attribute="event.number", allow_none=True)
    changes = fields.Raw(metadata=CHANGES)
    reason = fields.String(allow_none=True)
    request_id = fields.String(attribute="event.request_id")
    stream = fields.String(attribute="event.stream")
    seq = fields.Integer(attribute="event.seq")
    hash = Hash(attribute="event.hash")
    position = fields.Integer(allow_none=True)
    line = fields.String(attribute="event.body")


class Events(Answer):
    """A page of audit events."""

    items = fields.List(fields.Nested(Event))
    next = NextPage()


class Tail(Answer):
    """Audit events in the order of their positions. `next` goes on behind the last position that was looked at."""

    items = fields.List(fields.Nested(Event))
    next = NextPage("after", "after")


class GrantQuery(PageQuery):
    """Which grants to show."""

    principal = Text(load_default=None, metadata={"description": "Those of the principal of this name."})
    group = Text(load_default=None, metadata={"description": "Those of this group."})
    model = Text(load_default=None, metadata={"description": "Those that concern a model of this name."})


class OneGrant(Answer):
    """A grant. That of the owner of a model has the role `owner`, and as its pattern the name of the model."""

    id = fields.Integer()
    principal = fields.String(allow_none=True, metadata={"description": "The principal whose it is, if not a group's."})
    group = fields.String(allow_none=True, metadata={"description": "The group whose it is, if not a principal's."})
    effect = fields.String()
    role = fields.String(allow_none=True, metadata={"enum": ROLES})
    permissions = fields.List(fields.String(), allow_none=True)
    pattern = fields.String()
    model_id = fields.Integer(allow_none=True, metadata={"description": "The id of the model that its holder owns."})
    stages_from = fields.List(fields.String(), allow_none=True)
    stages_to = fields.List(fields.String(), allow_none=True)
    description = fields.String(allow_none=True)
    created_at = Time()
    created_by = fields.String()


class Grants(Answer):
    """A page of grants, oldest first."""

    items = fields.List(fields.Nested(OneGrant))
    next = NextPage()


class ExplainQuery(Input):
    """What is to be done, to which model, and for a move from where to where."""

    action = fields.Enum(
        Permission, by_value=True, required=True, metadata={"description": "The permission that is asked about."}
    )
    model = Text(load_default=None)
    stage_from = stage(load_default=None, data_key="from", metadata={"description": "The stage that a move begins in."})
    stage_to = stage(load_default=None, data_key="to", metadata={"description": "The stage that a move leads to."})
    principal = Text(load_default=None, metadata={"description": "Who is meant, if not the caller, by its name."})


class GrantAtWork(Answer):
    """A grant as it decides; `id` is null for one that the service has from its settings."""

    id = fields.Integer(allow_none=True)
    effect = fields.String()
    role = fields.String(allow_none=True, metadata={"enum": ROLES})
    permissions = fields.Function(lambda grant: sorted(grant.permissions), metadata=NAMES)
    pattern = fields.String()
    stages_from = fields.Function(lambda grant: in_order(grant.stages_from), metadata=SOME_STAGES)
    stages_to = fields.Function(lambda grant: in_order(grant.stages_to), metadata=SOME_STAGES)
    holder = fields.String()


class Explained(Answer):
    """Whether something may be done, and why or why not."""

    allowed = fields.Boolean()
    because = fields.Nested(GrantAtWork, allow_none=True)
    missing = fields.String(allow_none=True)
    who_could = fields.List(fields.String())


class Caller(Answer):
    """Who the caller is. `role`: the highest one it has over all models; null where it has none over all."""

    id = fields.String()
    name = fields.String()
    role = fields.String(allow_none=True)
    groups = fields.List(fields.String())
    credential = fields.String()


class FieldFault(Answer):
    """A field that is not right, and why."""

    field = fields.String()
    message = fields.String()


class Holder(Answer):
    """A version that stands in a stage."""

    version = fields.Integer()
    since = Time()
    by = fields.Nested(Actor)


TYPES = errors.types()
TYPES_EXPLAINED = "The kind of refusal, for programs; it never changes. With which status each one comes: " + ", ".join(
    f"`{kind.removeprefix(errors.TYPE)}` {status}"
    for kind, status in sorted(TYPES.items(), key=lambda each: each[::-1])
)


class Problem(Answer):
    """RFC 9457 problem document."""

    may_lack = frozenset({"errors", "holders"})

    type = fields.String(metadata={"format": "uri", "enum": list(TYPES), "description": TYPES_EXPLAINED})
    title = fields.String(metadata={"description": "The kind of refusal, in short."})
    status = fields.Integer(metadata={"description": "The HTTP status."})
    detail = fields.String(metadata={"description": "What is wrong and what to do, for people."})
    request_id = fields.String(metadata={"description": "Under which the service's log has it."})
    errors = fields.List(fields.Nested(FieldFault), metadata={"description": "Each field that is not right."})
    holders = fields.List(
        fields.Nested(Holder), metadata={"description": "Who stands in the stage, though another was expected."}
    )
