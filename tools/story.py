"""The story from which the examples of the contract are taken: a model, from its first version to the trash.

Ada runs the registry, Maya trains models, Omar approves them, and a dashboard looks on. `$name.field` stands for a
field, or a header, of an answer that a step before has kept under that name.
"""

from dataclasses import dataclass, field
from typing import Any

CHURN = "ChurnPredictionModel"
FRAUD = "FraudDetectionModel"
DIGEST = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
MODEL = {"name": CHURN}
FIRST, SECOND, THIRD = ({"name": CHURN, "number": number} for number in (1, 2, 3))
BEGINNING: dict[str, Any] = {"order": "oldest", "limit": 1}
DESCRIPTIONS: dict[str, Any] = {"action": "registered_model.describe"}
TEAM = {"key": "team"}
PRODUCTION = {"name": CHURN, "stage": "Production"}
CHAMPION = {"name": CHURN, "alias": "champion"}


@dataclass(frozen=True, slots=True)
class Step:
    """One request of the story. `keep`: the name under which its answer is kept for later steps."""

    title: str
    operation: str
    path: dict[str, Any] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    who: str | None = "ada"
    headers: dict[str, str] = field(default_factory=dict)
    keep: str = ""
    is_shown: bool = True
    """Whether it is worth an example, or only has to be done for later steps."""


def create(version: int, *, keep: str = "", **more: Any) -> Step:
    """A version of the model, trained and registered."""
    body = {"source": f"s3://models/churn/{version}", "run_id": f"c0ffee{version:026d}", **more}
    return Step("A version is registered", "createVersion", MODEL, body=body, who="maya", keep=keep)


PEOPLE = [
    Step("An administrator asks who it is", "whoami"),
    *(
        Step(f"A token for {who}", "createToken", body={"name": who, "role": role, "description": text}, keep=who)
        for who, role, text in (
            ("maya", "contributor", "trains models"),
            ("omar", "approver", "approves models"),
            ("dashboard", "viewer", "looks on"),
        )
    ),
    Step("All tokens", "tokens"),
    Step("One token", "getToken", {"token_id": "$dashboard.id"}),
    Step("There is no such role", "createToken", body={"name": "x", "role": "owner"}),
    Step("A contributor asks for the tokens", "tokens", who="maya"),
]

NEW = {"name": CHURN, "description": "Who will leave within 30 days", "tags": {"team": "growth"}}
KEY = {"Idempotency-Key": "8e2d7c1a-churn-1"}
A_MODEL = [
    Step("A model is registered", "createModel", body=NEW, who="maya", headers=KEY),
    Step("The same again under the same key: the same answer", "createModel", body=NEW, who="maya", headers=KEY),
    Step("Another request under that key", "createModel", body=NEW | {"name": FRAUD}, who="maya", headers=KEY),
    Step("The name is taken", "createModel", body=NEW, who="maya"),
    Step("Two fields are not right", "createModel", body={"nam": CHURN, "name": 7}, who="maya"),
    Step("A viewer registers nothing", "createModel", body={"name": FRAUD}, who="dashboard"),
    Step("There is no credential", "createModel", body={"name": FRAUD}, who=None),
    Step("The body is not declared as JSON", "createModel", body=NEW, headers={"Content-Type": "text/plain"}),
    Step("The model", "getModel", MODEL, who="dashboard", keep="model"),
    Step("It has not changed", "getModel", MODEL, who="dashboard", headers={"If-None-Match": "$model.ETag"}),
    Step("There is no such model", "getModel", {"name": "ChurnModel"}, who="dashboard"),
    Step(
        "What was read is changed",
        "amendModel",
        MODEL,
        body={"description": "Who will leave within 60 days"},
        who="maya",
        headers={"If-Match": "$model.ETag"},
    ),
    Step(
        "It has changed since it was read",
        "amendModel",
        MODEL,
        body={"description": "Who will leave"},
        who="maya",
        headers={"If-Match": "$model.ETag"},
    ),
]

TAGS = [
    Step("Two tags at once", "changeModelTags", MODEL, body={"tags": {"owner": "maya", "old": "x"}}, who="maya"),
    Step("All tags of the model", "modelTags", MODEL, who="dashboard"),
    Step("One tag is set", "setModelTag", MODEL | TEAM, body={"value": "retention"}, who="maya"),
    Step("One tag", "getModelTag", MODEL | TEAM, who="dashboard"),
    Step("One tag is removed", "unsetModelTag", MODEL | {"key": "old"}, who="maya"),
]

VERSIONS = [
    create(1, tags={"algorithm": "xgboost"}, digest=DIGEST),
    create(2, tags={"algorithm": "lightgbm"}, stage="Staging", reason="first candidate"),
    create(3, keep="third"),
    Step("One version", "getVersion", FIRST, who="dashboard"),
    Step("A version is described", "amendVersion", SECOND, body={"description": "AUC 0.91"}, who="maya"),
    Step("Tags of a version", "changeVersionTags", SECOND, body={"tags": {"auc": "0.91", "x": "y"}}, who="maya"),
    Step("All tags of a version", "versionTags", SECOND, who="dashboard"),
    Step("A tag of a version is set", "setVersionTag", SECOND | TEAM, body={"value": "growth"}, who="maya"),
    Step("One tag of a version", "getVersionTag", SECOND | TEAM, who="dashboard"),
    Step("A tag of a version is removed", "unsetVersionTag", SECOND | {"key": "x"}, who="maya"),
]

TO_PRODUCTION = {"to": "Production", "archive_existing": True}
STAGES = [
    Step(
        "Into an empty Production",
        "transition",
        FIRST,
        body={"to": "Production", "expected_current": None, "reason": "first release"},
        who="omar",
        keep="first",
    ),
    Step("What would happen", "transition", SECOND, body=TO_PRODUCTION | {"dry_run": True}, who="omar"),
    Step("A contributor promotes nothing", "transition", SECOND, body=TO_PRODUCTION, who="maya"),
    Step(
        "Promoted, if version 1 is still Production",
        "transition",
        SECOND,
        body=TO_PRODUCTION | {"expected_current": 1, "reason": "AUC 0.91 against 0.87"},
        who="omar",
    ),
    Step(
        "Another version is Production by now",
        "transition",
        THIRD,
        body=TO_PRODUCTION | {"expected_current": 1},
        who="omar",
    ),
    Step("The moves of a version", "transitions", FIRST, who="dashboard"),
    Step("Who is Production", "stageHolders", PRODUCTION, who="dashboard"),
    Step("Who was Production then", "stageHolders", PRODUCTION, {"at": "$first.updated_at"}, who="dashboard"),
    Step("Who was Production from when until when", "stageHistory", PRODUCTION, who="dashboard"),
    Step("Back to the version before", "rollback", PRODUCTION, body={"reason": "too many false alarms"}, who="omar"),
    Step(
        "The stage is not held as expected",
        "rollback",
        {"name": CHURN, "stage": "Staging"},
        body={"expected_current": 3},
        who="omar",
    ),
]

ALIASES = [
    Step("An alias is set", "setAlias", CHAMPION, body={"version": 2}, who="omar"),
    Step("The version that an alias names", "getAlias", CHAMPION, who="dashboard"),
    Step("All aliases", "aliases", MODEL, who="dashboard"),
    Step("A reserved word", "setAlias", CHAMPION | {"alias": "latest"}, body={"version": 2}, who="omar"),
    Step("An alias for a while", "setAlias", CHAMPION | {"alias": "challenger"}, body={"version": 3}, who="omar"),
    Step("An alias is removed", "unsetAlias", CHAMPION | {"alias": "challenger"}, who="omar"),
]


def comments(kind: str, at: dict[str, Any]) -> list[Step]:
    """Somebody says something, thinks better of it and takes it back."""
    one = at | {"comment_id": f"${kind}.id"}
    word = kind.capitalize()
    return [
        Step("A comment", f"commentOn{word}", at, body={"text": "Calibrated?"}, who="omar", keep=kind),
        Step("All comments", f"{kind}Comments", at, {"limit": 10}, who="dashboard"),
        Step("One comment", f"get{word}Comment", one, who="dashboard"),
        Step("A better word", f"edit{word}Comment", one, body={"text": "Is it calibrated?"}, who="omar"),
        Step("Only its author edits a comment", f"edit{word}Comment", one, body={"text": "Yes."}, who="maya"),
        Step("A comment is deleted", f"delete{word}Comment", one, who="omar"),
    ]


READING = [
    Step("What is served now", "resolve", {}, {"uri": f"models:/{CHURN}/Production"}, who="dashboard", keep="served"),
    Step(
        "It is still the same",
        "resolve",
        {},
        {"uri": f"models:/{CHURN}/Production"},
        who="dashboard",
        headers={"If-None-Match": "$served.ETag"},
    ),
    Step("What an alias names", "resolve", {}, {"uri": f"models:/{CHURN}@champion"}, who="dashboard"),
    Step("Nothing is in that stage", "resolve", {}, {"uri": f"models:/{CHURN}/Staging"}, who="dashboard"),
    Step("The URI makes no sense", "resolve", {}, {"uri": CHURN}, who="dashboard"),
    Step(
        "Models of a team",
        "searchModels",
        {},
        {"filter": "tag.team = 'retention'", "order_by": "updated_at desc", "include_total": "true"},
        who="dashboard",
    ),
    Step("A filter that makes no sense", "searchModels", {}, {"filter": "stage ="}, who="dashboard"),
    Step("Versions that came from a run", "searchVersions", {}, {"filter": "tag.auc IS NOT NULL"}, who="dashboard"),
    Step("Versions of the model", "searchVersionsOfModel", MODEL, {"limit": 2}, who="dashboard"),
    Step("What happened last", "audit", {}, {"limit": 2}, who="dashboard"),
    Step("Promotions, as JSON lines", "audit", {}, {"action": "model_version.transition", "format": "jsonl"}),
    Step("Promotions, for a spreadsheet", "audit", {}, {"action": "model_version.transition", "format": "csv"}),
    Step("What its description was", "modelAudit", MODEL, DESCRIPTIONS, who="dashboard"),
    Step(
        "What its description was, as JSON lines",
        "modelAudit",
        MODEL,
        DESCRIPTIONS | {"format": "jsonl"},
        who="dashboard",
    ),
    Step(
        "What its description was, for a spreadsheet",
        "modelAudit",
        MODEL,
        DESCRIPTIONS | {"format": "csv"},
        who="dashboard",
    ),
    Step("What happened to a version first", "versionAudit", FIRST, BEGINNING, who="dashboard"),
    Step("The same as JSON lines", "versionAudit", FIRST, BEGINNING | {"format": "jsonl"}, who="dashboard"),
    Step("The same for a spreadsheet", "versionAudit", FIRST, BEGINNING | {"format": "csv"}, who="dashboard"),
    Step("The log, event by event", "audit", {}, {"after": -1, "limit": 1, "wait": 30}, who="dashboard"),
    Step("What the log was signed as", "checkpoint", who="dashboard"),
    Step("That an event is in it", "inclusionProof", {"position": 2}, {"size": 7}, who="dashboard"),
    Step("So many were not signed yet", "inclusionProof", {"position": 2}, {"size": 1_000_000}, who="dashboard"),
    Step("That nothing was changed since", "consistencyProof", {}, {"from": 3, "to": 7}, who="dashboard"),
    Step("The registry of a moment", "snapshot", {}, {"at": "2026-11-01T00:00:00Z"}, who="dashboard"),
]

WHY = {"X-Registry-Reason": "trained on the wrong data"}
TRASH = [
    Step("A version is deleted", "deleteVersion", THIRD, who="omar", headers=WHY),
    Step("Deleted versions", "trashedVersions", {}, keep="trashed"),
    Step("Not for an approver", "trashedVersions", who="omar"),
    Step("One deleted version", "trashedVersion", {"model_id": 1, "number": 3}),
    Step(
        "A version comes back", "restoreVersion", {"model_id": 1, "number": 3}, body={"reason": "it was the right data"}
    ),
    Step("A version is deleted again", "deleteVersion", THIRD, who="omar", headers=WHY, is_shown=False),
    Step("A version is purged, for good", "purgeVersion", {"model_id": 1, "number": 3}, headers=WHY),
    Step("What was purged", "resolve", {}, {"uri": f"models:/{CHURN}/3", "at": "$third.created_at"}, who="dashboard"),
    Step("A try", "createModel", body={"name": "Try"}, who="maya", keep="try", is_shown=False),
    Step("A model is deleted", "deleteModel", {"name": "Try"}, who="omar"),
    Step("Deleted models", "trashedModels"),
    Step("One deleted model", "trashedModel", {"model_id": "$try.id"}),
    Step("A model comes back under another name", "restoreModel", {"model_id": "$try.id"}, body={"name": "Retry"}),
    Step("A model is deleted again", "deleteModel", {"name": "Retry"}, who="omar", is_shown=False),
    Step("A model is purged, for good", "purgeModel", {"model_id": "$try.id"}),
    Step("A token is revoked", "revokeToken", {"token_id": "$dashboard.id"}),
    Step("A revoked token opens nothing", "whoami", who="dashboard"),
]

VERSION = {"name": FRAUD, "version": "1"}
TAG = {"key": "team", "value": "risk"}
MLFLOW = [
    Step("A model", "mlflowCreateModel", body={"name": FRAUD, "description": "Card fraud", "tags": [TAG]}, who="maya"),
    Step("The name is taken", "mlflowCreateModel", body={"name": FRAUD}, who="maya"),
    Step("There is no credential", "mlflowCreateModel", body={"name": FRAUD}, who=None),
    Step("A model is described", "mlflowUpdateModel", body={"name": FRAUD, "description": "Cards"}, who="maya"),
    Step("A model is tagged", "mlflowSetModelTag", body={"name": FRAUD, **TAG}, who="maya"),
    Step("A tag is removed", "mlflowDeleteModelTag", body={"name": FRAUD, "key": "team"}, who="maya"),
    Step("A version", "mlflowCreateVersion", body={"name": FRAUD, "source": "s3://models/fraud/1"}, who="maya"),
    Step("A version is described", "mlflowUpdateVersion", body=VERSION | {"description": "F1 0.8"}, who="maya"),
    Step("A version is tagged", "mlflowSetVersionTag", body=VERSION | TAG, who="maya"),
    Step("A version's tag is removed", "mlflowDeleteVersionTag", body=VERSION | {"key": "team"}, who="maya"),
    Step(
        "A version goes to Production",
        "mlflowTransitionStage",
        body=VERSION | {"stage": "Production", "archive_existing_versions": True},
        who="omar",
    ),
    Step("A contributor promotes nothing", "mlflowTransitionStage", body=VERSION | {"stage": "production"}, who="maya"),
    Step("One version", "mlflowGetVersion", query=VERSION, who="maya"),
    Step("There is no such version", "mlflowGetVersion", query=VERSION | {"version": "9"}, who="maya"),
    Step("Where its files are", "mlflowGetDownloadUri", query=VERSION, who="maya"),
    Step("Versions", "mlflowSearchVersions", query={"filter": f"name = '{FRAUD}'", "max_results": 10}, who="maya"),
    Step("One model", "mlflowGetModel", query={"name": FRAUD}, who="maya"),
    Step("Models", "mlflowSearchModels", query={"filter": "name LIKE 'Fraud%'", "max_results": 10}, who="maya"),
    Step("A filter that makes no sense", "mlflowSearchModels", query={"filter": "nam = 'x'"}, who="maya"),
    Step(
        "The newest version in Production",
        "mlflowGetLatestVersionsPost",
        body={"name": FRAUD, "stages": ["Production"]},
        who="maya",
    ),
    Step("The newest version of each stage", "mlflowGetLatestVersionsGet", query={"name": FRAUD}, who="maya"),
    Step("An alias", "mlflowSetAlias", body=VERSION | {"alias": "champion"}, who="omar"),
    Step("What it names", "mlflowGetByAlias", query={"name": FRAUD, "alias": "champion"}, who="maya"),
    Step("An alias is removed", "mlflowDeleteAlias", body={"name": FRAUD, "alias": "champion"}, who="omar"),
    Step("A model is renamed", "mlflowRenameModel", body={"name": FRAUD, "new_name": "CardFraud"}, who="omar"),
    Step("A version is deleted", "mlflowDeleteVersion", body={"name": "CardFraud", "version": "1"}, who="omar"),
    Step("A model is deleted", "mlflowDeleteModel", body={"name": "CardFraud"}, who="omar"),
    Step("What the server can do", "mlflowServerInfo", who=None),
]

SERVICE = [
    Step("It lives", "livez", who=None),
    Step("It can work", "readyz", who=None),
    Step("It lives, as MLflow has it", "mlflowHealth", who=None),
    Step("Its release", "version", who=None),
]

PROMOTING = {"action": "promote", "model": CHURN, "to": "Production"}
FREEZE = {"group": "release-week", "effect": "deny", "permissions": ["promote"], "stages_to": ["Production"]}
AUTHORITY = [
    Step("May Maya promote?", "explain", {}, PROMOTING, who="maya"),
    Step(
        "She may, from Staging, for this model",
        "createGrant",
        body={
            "principal": "maya",
            "permissions": ["promote"],
            "pattern": "Churn*",
            "stages_from": ["Staging"],
            "stages_to": ["Production"],
            "description": "while Omar is away",
        },
        keep="grant",
    ),
    Step("Now she may, by that grant", "explain", {}, PROMOTING, who="maya"),
    Step("An administrator asks for another", "explain", {}, {**PROMOTING, "principal": "omar"}),
    Step("Nobody else asks about others", "explain", {}, {**PROMOTING, "principal": "omar"}, who="maya"),
    Step("A group is denied a move", "createGrant", body={**FREEZE, "pattern": "*"}),
    Step("A role cannot be denied", "createGrant", body={"group": "interns", "effect": "deny", "role": "approver"}),
    Step("A contributor makes no approvers", "createGrant", body={"group": "team", "role": "approver"}, who="maya"),
    Step("Nobody is called so", "createGrant", body={"principal": "nobody", "role": "viewer"}),
    Step("What concerns a model", "grants", {}, {"model": CHURN}),
    Step("One grant", "getGrant", {"grant_id": "$grant.id"}),
    Step("Omar is back", "deleteGrant", {"grant_id": "$grant.id"}, headers={"X-Registry-Reason": "Omar is back"}),
    Step(
        "A token that is narrower than its holder",
        "createToken",
        body={"name": "omar", "role": "approver", "models": ["Churn*"], "stages": ["Staging"]},
    ),
]

STORY = [
    *PEOPLE,
    *A_MODEL,
    *TAGS,
    *VERSIONS,
    *STAGES,
    *ALIASES,
    *comments("model", MODEL),
    *comments("version", SECOND),
    *READING,
    *TRASH,
    *MLFLOW,
    *AUTHORITY,
    *SERVICE,
]
