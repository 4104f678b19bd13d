"""A request to every route of both faces that takes a credential, and the least role that it takes.

A new route fails the tests that go by this table until it has a row here.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from registry.db import transaction
from registry.domain import aliases, comments, grants, model_versions, registered_models, tags, tokens
from registry.domain.access import OPERATOR, Principal
from registry.domain.grants import Wanted
from registry.faces import mlflow, rest
from registry.vocabulary import Role, Stage
from tests.factories import make_version, move, unique

VIEWER, CONTRIBUTOR, APPROVER, ADMINISTRATOR = Role
FREE = "takes no right"


@dataclass(frozen=True)
class World:
    """What there is to ask for: a model with everything that a model can have, and the ids of that and of others."""

    name: str
    model_id: int
    deleted_id: int
    remark: int
    comment: int
    token: int
    grant: int
    fresh: str = field(default_factory=unique)


@dataclass(frozen=True)
class Row:
    """A request: `least` is the role that it takes at least; what stands in braces is of the world."""

    endpoint: str
    verb: str
    path: str
    least: Role | str
    body: Any = None

    @property
    def names_model(self) -> bool:
        """Whether it names a model that has to be there."""
        named = "{name}" in self.path + json.dumps(self.body) and "actor={name}" not in self.path
        return named and not self.endpoint.endswith((".explain", ".grants", ".create_grant"))

    @property
    def changes(self) -> bool:
        """Whether it is meant to change something."""
        return self.verb != "GET" and not self.endpoint.endswith(".get_latest_versions")

    def send(self, client: FlaskClient, world: World, **headers: str) -> TestResponse:
        """Ask."""
        body = None if self.body is None else json.loads(filled(json.dumps(self.body), world))
        return client.open(filled(self.path, world), method=self.verb, json=body, headers=headers)


def filled(text: str, world: World) -> str:
    """A text with what it means in this world."""
    for part in World.__dataclass_fields__:
        text = text.replace(f"{{{part}}}", str(getattr(world, part)))
    return text


MODEL, ONE = "/models/{name}", "/models/{name}/versions/1"
TRASHED, GONE = "/trash/models/{deleted_id}", "/trash/models/{model_id}/versions/4"
SOURCE = {"source": "s3://bucket/new"}
REST: list[tuple[str, str, str, Role | str, Any]] = [
    ("create_model", "POST", "/models", CONTRIBUTOR, {"name": "{fresh}"}),
    ("search_models", "GET", "/models", VIEWER, None),
    ("get_model", "GET", MODEL, VIEWER, None),
    ("amend_model", "PATCH", MODEL, CONTRIBUTOR, {"description": "other"}),
    ("amend_model", "PATCH", MODEL, APPROVER, {"name": "{fresh}"}),
    ("delete_model", "DELETE", MODEL, APPROVER, None),
    ("create_version", "POST", f"{MODEL}/versions", CONTRIBUTOR, SOURCE),
    ("create_version", "POST", f"{MODEL}/versions", APPROVER, SOURCE | {"stage": "Production"}),
    ("create_version", "POST", "/models/{name}/versions", CONTRIBUTOR, {"source": "models:/{name}/1"}),
    ("search_versions_of_model", "GET", f"{MODEL}/versions", VIEWER, None),
    ("search_versions", "GET", "/versions", VIEWER, None),
    ("get_version", "GET", ONE, VIEWER, None),
    ("amend_version", "PATCH", ONE, CONTRIBUTOR, {"description": "other"}),
    ("delete_version", "DELETE", ONE, APPROVER, None),
    ("model_tags", "GET", f"{MODEL}/tags", VIEWER, None),
    ("change_model_tags", "PATCH", f"{MODEL}/tags", CONTRIBUTOR, {"tags": {"team": "other"}}),
    ("get_model_tag", "GET", f"{MODEL}/tags/team", VIEWER, None),
    ("set_model_tag", "PUT", f"{MODEL}/tags/team", CONTRIBUTOR, {"value": "other"}),
    ("unset_model_tag", "DELETE", f"{MODEL}/tags/team", CONTRIBUTOR, None),
    ("version_tags", "GET", f"{ONE}/tags", VIEWER, None),
    ("change_version_tags", "PATCH", f"{ONE}/tags", CONTRIBUTOR, {"tags": {"team": None}}),
    ("get_version_tag", "GET", f"{ONE}/tags/team", VIEWER, None),
    ("set_version_tag", "PUT", f"{ONE}/tags/team", CONTRIBUTOR, {"value": "other"}),
    ("unset_version_tag", "DELETE", f"{ONE}/tags/team", CONTRIBUTOR, None),
    ("aliases", "GET", f"{MODEL}/aliases", VIEWER, None),
    ("get_alias", "GET", f"{MODEL}/aliases/champion", VIEWER, None),
    ("set_alias", "PUT", f"{MODEL}/aliases/champion", APPROVER, {"version": 2}),
    ("unset_alias", "DELETE", f"{MODEL}/aliases/champion", APPROVER, None),
    ("stage_holders", "GET", f"{MODEL}/stages/Production", VIEWER, None),
    ("stage_holders", "GET", f"{MODEL}/stages/Production?at=2100-01-01T00:00:00Z", VIEWER, None),
    ("stage_history", "GET", f"{MODEL}/stages/Production/history", VIEWER, None),
    ("rollback", "POST", f"{MODEL}/stages/Staging/rollback", CONTRIBUTOR, {}),
    ("rollback", "POST", f"{MODEL}/stages/Production/rollback", APPROVER, {}),
    ("transition", "POST", f"{ONE}/transitions", CONTRIBUTOR, {"to": "Archived"}),
    ("transition", "POST", f"{ONE}/transitions", APPROVER, {"to": "Production", "archive_existing": True}),
    ("transition", "POST", "/models/{name}/versions/2/transitions", APPROVER, {"to": "Archived"}),
    ("transitions", "GET", f"{ONE}/transitions", VIEWER, None),
    ("comment_on_model", "POST", f"{MODEL}/comments", CONTRIBUTOR, {"text": "words"}),
    ("model_comments", "GET", f"{MODEL}/comments", VIEWER, None),
    ("get_model_comment", "GET", MODEL + "/comments/{remark}", VIEWER, None),
    ("edit_model_comment", "PATCH", MODEL + "/comments/{remark}", CONTRIBUTOR, {"text": "others"}),
    ("delete_model_comment", "DELETE", MODEL + "/comments/{remark}", CONTRIBUTOR, None),
    ("comment_on_version", "POST", f"{ONE}/comments", CONTRIBUTOR, {"text": "words"}),
    ("version_comments", "GET", f"{ONE}/comments", VIEWER, None),
    ("get_version_comment", "GET", ONE + "/comments/{comment}", VIEWER, None),
    ("edit_version_comment", "PATCH", ONE + "/comments/{comment}", CONTRIBUTOR, {"text": "others"}),
    ("delete_version_comment", "DELETE", ONE + "/comments/{comment}", CONTRIBUTOR, None),
    ("resolve", "GET", "/resolve?uri=models:/{name}/1", VIEWER, None),
    ("resolve", "GET", "/resolve?uri=models:/{name}/Production", VIEWER, None),
    ("resolve", "GET", "/resolve?uri=models:/{name}/latest", VIEWER, None),
    ("resolve", "GET", "/resolve?uri=models:/{name}@champion&proof=true", VIEWER, None),
    ("resolve", "GET", "/resolve?uri=models:/{name}/1&at=2100-01-01T00:00:00Z", VIEWER, None),
    ("resolve", "GET", "/resolve?uri=models:/{name}@champion&at=2100-01-01T00:00:00Z", VIEWER, None),
    ("audit", "GET", "/audit", VIEWER, None),
    ("audit", "GET", "/audit?model={name}", VIEWER, None),
    ("audit", "GET", "/audit?after=-1", VIEWER, None),
    ("audit", "GET", "/audit?format=csv&actor={name}", VIEWER, None),
    ("audit", "GET", "/audit?format=jsonl", VIEWER, None),
    ("model_audit", "GET", f"{MODEL}/audit", VIEWER, None),
    ("version_audit", "GET", f"{ONE}/audit", VIEWER, None),
    ("checkpoint", "GET", "/audit/checkpoint", VIEWER, None),
    ("consistency_proof", "GET", "/audit/consistency?from=0", VIEWER, None),
    ("inclusion_proof", "GET", "/audit/proof/0", VIEWER, None),
    ("snapshot", "GET", "/snapshot", VIEWER, None),
    ("whoami", "GET", "/whoami", FREE, None),
    ("explain", "GET", "/access/explain?action=read&model={name}", FREE, None),
    ("explain", "GET", "/access/explain?action=read&principal=admin", ADMINISTRATOR, None),
    ("tokens", "GET", "/tokens", ADMINISTRATOR, None),
    ("get_token", "GET", "/tokens/{token}", ADMINISTRATOR, None),
    ("create_token", "POST", "/tokens", ADMINISTRATOR, {"name": "{fresh}", "role": "viewer"}),
    ("revoke_token", "DELETE", "/tokens/{token}", ADMINISTRATOR, None),
    ("grants", "GET", "/grants", ADMINISTRATOR, None),
    ("grants", "GET", "/grants?model={name}", ADMINISTRATOR, None),
    ("get_grant", "GET", "/grants/{grant}", ADMINISTRATOR, None),
    ("create_grant", "POST", "/grants", ADMINISTRATOR, {"group": "g", "role": "administrator"}),
    ("create_grant", "POST", "/grants", ADMINISTRATOR, {"group": "g", "role": "viewer", "pattern": "{name}"}),
    ("delete_grant", "DELETE", "/grants/{grant}", ADMINISTRATOR, None),
    ("trashed_models", "GET", "/trash/models", ADMINISTRATOR, None),
    ("trashed_versions", "GET", "/trash/versions", ADMINISTRATOR, None),
    ("trashed_model", "GET", TRASHED, ADMINISTRATOR, None),
    ("trashed_version", "GET", GONE, ADMINISTRATOR, None),
    ("restore_model", "POST", f"{TRASHED}/restore", ADMINISTRATOR, {}),
    ("purge_model", "DELETE", TRASHED, ADMINISTRATOR, None),
    ("restore_version", "POST", f"{GONE}/restore", ADMINISTRATOR, {}),
    ("purge_version", "DELETE", GONE, ADMINISTRATOR, None),
]
VERSION = {"name": "{name}", "version": "1"}
TAG = {"key": "team", "value": "other"}
MLFLOW: list[tuple[str, str, str, Role | str, Any]] = [
    ("create_model", "POST", "registered-models/create", CONTRIBUTOR, {"name": "{fresh}"}),
    ("get_model", "GET", "registered-models/get?name={name}", VIEWER, None),
    ("search_models", "GET", "registered-models/search", VIEWER, None),
    ("rename_model", "POST", "registered-models/rename", APPROVER, {"name": "{name}", "new_name": "{fresh}"}),
    ("update_model", "PATCH", "registered-models/update", CONTRIBUTOR, {"name": "{name}", "description": "other"}),
    ("delete_model", "DELETE", "registered-models/delete", APPROVER, {"name": "{name}"}),
    ("get_latest_versions", "GET", "registered-models/get-latest-versions?name={name}", VIEWER, None),
    ("get_latest_versions", "POST", "registered-models/get-latest-versions", VIEWER, {"name": "{name}"}),
    ("set_model_tag", "POST", "registered-models/set-tag", CONTRIBUTOR, {"name": "{name}", **TAG}),
    ("delete_model_tag", "DELETE", "registered-models/delete-tag", CONTRIBUTOR, {"name": "{name}", "key": "team"}),
    ("get_by_alias", "GET", "registered-models/alias?name={name}&alias=champion", VIEWER, None),
    ("set_alias", "POST", "registered-models/alias", APPROVER, VERSION | {"alias": "champion"}),
    ("delete_alias", "DELETE", "registered-models/alias", APPROVER, {"name": "{name}", "alias": "champion"}),
    ("create_version", "POST", "model-versions/create", CONTRIBUTOR, {"name": "{name}", **SOURCE}),
    ("create_version", "POST", "model-versions/create", CONTRIBUTOR, {"name": "{name}", "source": "models:/{name}/1"}),
    ("get_version", "GET", "model-versions/get?name={name}&version=1", VIEWER, None),
    ("get_download_uri", "GET", "model-versions/get-download-uri?name={name}&version=1", VIEWER, None),
    ("search_versions", "GET", "model-versions/search", VIEWER, None),
    ("update_version", "PATCH", "model-versions/update", CONTRIBUTOR, VERSION | {"description": "other"}),
    ("delete_version", "DELETE", "model-versions/delete", APPROVER, VERSION),
    ("transition_stage", "POST", "model-versions/transition-stage", CONTRIBUTOR, VERSION | {"stage": "Archived"}),
    ("transition_stage", "POST", "model-versions/transition-stage", APPROVER, VERSION | {"stage": "Production"}),
    ("set_version_tag", "POST", "model-versions/set-tag", CONTRIBUTOR, VERSION | TAG),
    ("delete_version_tag", "DELETE", "model-versions/delete-tag", CONTRIBUTOR, VERSION | {"key": "team"}),
]


def rows() -> Iterator[Row]:
    """All of it, the MLflow face under both of its prefixes."""
    for endpoint, verb, path, least, body in REST:
        yield Row(f"rest.{endpoint}", verb, rest.PREFIX + path, least, body)
    for prefix, face in mlflow.PREFIXES.items():
        for endpoint, verb, path, least, body in MLFLOW:
            yield Row(f"{face}.{endpoint}", verb, f"{prefix}/{path}", least, body)


ROWS = list(rows())


def routes(app: Flask) -> set[tuple[str, str]]:
    """What there is to ask, by the map of the service itself: endpoints with their verbs."""
    faces = {"rest", *mlflow.PREFIXES.values()}
    found = (rule for rule in app.url_map.iter_rules() if rule.endpoint.partition(".")[0] in faces)
    return {(rule.endpoint, verb) for rule in found for verb in (rule.methods or set()) - {"HEAD", "OPTIONS"}}


def make_world(name: str | None = None, author: Principal = OPERATOR) -> World:
    """A model with four versions, one of them deleted; two stood in each stage; a deleted model beside it."""
    name = name or unique()
    with transaction(author) as session:
        made = registered_models.create(session, author, name, description="hush", tags={"team": "risk"})
        model_id = made.model.id
    for stage in (Stage.STAGING, Stage.PRODUCTION):
        make_version(name, author, stage, source="s3://bucket/hush", team="risk")
        move(name, make_version(name, author), stage, author, archive_others=True)
    with transaction(author) as session:
        for number in (1, 2):
            tags.set_on_version(session, author, name, number, "team", "risk")
        aliases.set(session, author, name, "champion", 1)
        remark = comments.create(session, author, name, None, "hush").comment.id
        comment = comments.create(session, author, name, 1, "hush").comment.id
    for number, stage in ((1, Stage.STAGING), (2, Stage.PRODUCTION)):
        move(name, number, stage, author, archive_others=True)
    with transaction(author) as session:
        model_versions.delete(session, author, name, 4)
        deleted = registered_models.create(session, author, f"{name}-deleted", tags={}).model
        registered_models.delete(session, author, deleted.name)
        token = tokens.create(session, author, name=unique("robot"), role=VIEWER).id
        grant = grants.create(session, author, Wanted(group=unique("team"), role=VIEWER)).id
    return World(name, model_id, deleted.id, remark, comment, token, grant)
