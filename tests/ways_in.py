"""The ways in, each as one set of words: the MLflow face, our own REST API, the client, and the domain's functions.

Every call says whether it was accepted; a refusal is an answer like any other, a fault of the service is not.
"""

from collections.abc import Callable
from typing import Any, Protocol

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from registry.client import Client, ServiceError
from registry.db import transaction
from registry.domain import aliases, model_versions, registered_models, stages, trash
from registry.domain.access import OPERATOR
from registry.errors import RegistryError
from registry.vocabulary import Stage


class Way(Protocol):
    """What every way in can do."""

    def create_model(self, name: str) -> bool: ...
    def create_version(self, name: str, source: str) -> bool: ...
    def transition(self, name: str, number: int, to: Stage, *, archive: bool) -> bool: ...
    def set_alias(self, name: str, alias: str, number: int) -> bool: ...
    def unset_alias(self, name: str, alias: str) -> bool: ...
    def rename(self, name: str, new_name: str) -> bool: ...
    def delete_version(self, name: str, number: int) -> bool: ...
    def delete_model(self, name: str) -> bool: ...


class FullWay(Way, Protocol):
    """What only our own ways can do besides."""

    def register(self, name: str, source: str, stage: Stage, *, archive: bool) -> bool: ...
    def rollback(self, name: str, stage: Stage) -> bool: ...
    def restore_model(self, model_id: int, name: str | None) -> bool: ...
    def restore_version(self, model_id: int, number: int) -> bool: ...
    def purge_model(self, model_id: int) -> bool: ...
    def purge_version(self, model_id: int, number: int) -> bool: ...


class Http:
    """Requests that bear a reason, from which the request can be told."""

    prefix: str

    def __init__(self, client: FlaskClient, reasons: Callable[[], tuple[str, str]]) -> None:
        self.client, self.reasons = client, reasons

    def send(self, verb: str, path: str, body: object) -> bool:
        request_id, reason = self.reasons()
        headers = {"X-Request-ID": request_id, "X-Registry-Reason": reason}
        answer = self.client.open(self.prefix + path, method=verb, json=body, headers=headers)
        assert answer.status_code < 500, answer.text
        return answer.status_code < 400


class Mlflow(Http):
    """As MLflow's clients do it."""

    prefix = "/api/2.0/mlflow/"

    def create_model(self, name: str) -> bool:
        return self.send("POST", "registered-models/create", {"name": name})

    def create_version(self, name: str, source: str) -> bool:
        return self.send("POST", "model-versions/create", {"name": name, "source": source})

    def transition(self, name: str, number: int, to: Stage, *, archive: bool) -> bool:
        body = {"name": name, "version": str(number), "stage": to, "archive_existing_versions": archive}
        return self.send("POST", "model-versions/transition-stage", body)

    def set_alias(self, name: str, alias: str, number: int) -> bool:
        body = {"name": name, "alias": alias, "version": str(number)}
        return self.send("POST", "registered-models/alias", body)

    def unset_alias(self, name: str, alias: str) -> bool:
        return self.send("DELETE", "registered-models/alias", {"name": name, "alias": alias})

    def rename(self, name: str, new_name: str) -> bool:
        return self.send("POST", "registered-models/rename", {"name": name, "new_name": new_name})

    def delete_version(self, name: str, number: int) -> bool:
        return self.send("DELETE", "model-versions/delete", {"name": name, "version": str(number)})

    def delete_model(self, name: str) -> bool:
        return self.send("DELETE", "registered-models/delete", {"name": name})


class Rest(Http):
    """Over our own API."""

    prefix = "/api/v1"

    def create_model(self, name: str) -> bool:
        return self.send("POST", "/models", {"name": name})

    def create_version(self, name: str, source: str) -> bool:
        return self.send("POST", f"/models/{name}/versions", {"source": source})

    def register(self, name: str, source: str, stage: Stage, *, archive: bool) -> bool:
        body = {"source": source, "stage": stage, "archive_existing": archive}
        return self.send("POST", f"/models/{name}/versions", body)

    def transition(self, name: str, number: int, to: Stage, *, archive: bool) -> bool:
        body = {"to": to, "archive_existing": archive}
        return self.send("POST", f"/models/{name}/versions/{number}/transitions", body)

    def set_alias(self, name: str, alias: str, number: int) -> bool:
        return self.send("PUT", f"/models/{name}/aliases/{alias}", {"version": number})

    def unset_alias(self, name: str, alias: str) -> bool:
        return self.send("DELETE", f"/models/{name}/aliases/{alias}", None)

    def rename(self, name: str, new_name: str) -> bool:
        return self.send("PATCH", f"/models/{name}", {"name": new_name})

    def delete_version(self, name: str, number: int) -> bool:
        return self.send("DELETE", f"/models/{name}/versions/{number}", None)

    def delete_model(self, name: str) -> bool:
        return self.send("DELETE", f"/models/{name}", None)

    def rollback(self, name: str, stage: Stage) -> bool:
        return self.send("POST", f"/models/{name}/stages/{stage}/rollback", {})

    def restore_model(self, model_id: int, name: str | None) -> bool:
        return self.send("POST", f"/trash/models/{model_id}/restore", {"name": name} if name else {})

    def restore_version(self, model_id: int, number: int) -> bool:
        return self.send("POST", f"/trash/models/{model_id}/versions/{number}/restore", {})

    def purge_model(self, model_id: int) -> bool:
        return self.send("DELETE", f"/trash/models/{model_id}", None)

    def purge_version(self, model_id: int, number: int) -> bool:
        return self.send("DELETE", f"/trash/models/{model_id}/versions/{number}", None)


class Remote:
    """Through the client over the network, as the command line and training jobs do it."""

    def __init__(self, client: Client, reasons: Callable[[], tuple[str, str]]) -> None:
        self.client, self.reasons = client, reasons

    def act(self, change: Callable[[str], object]) -> bool:
        request_id, reason = self.reasons()
        self.client._transport._headers["X-Request-ID"] = request_id  # it has no other word for it
        try:
            change(reason)
        except ServiceError as refused:
            if refused.status is None or refused.status >= 500:
                raise
            return False
        return True

    def create_model(self, name: str) -> bool:
        return self.act(lambda why: self.client.register_model(name, reason=why))

    def create_version(self, name: str, source: str) -> bool:
        return self.act(lambda why: self.client.register_version(name, source, reason=why))

    def register(self, name: str, source: str, stage: Stage, *, archive: bool) -> bool:
        return self.act(
            lambda why: self.client.register_version(name, source, stage=stage, archive_existing=archive, reason=why)
        )

    def transition(self, name: str, number: int, to: Stage, *, archive: bool) -> bool:
        return self.act(lambda why: self.client.transition(name, number, to, archive_existing=archive, reason=why))

    def set_alias(self, name: str, alias: str, number: int) -> bool:
        return self.act(lambda why: self.client.set_alias(name, alias, number, reason=why))

    def unset_alias(self, name: str, alias: str) -> bool:
        return self.act(lambda why: self.client.unset_alias(name, alias, reason=why))

    def rename(self, name: str, new_name: str) -> bool:
        return self.act(lambda why: self.client.rename_model(name, new_name, reason=why))

    def delete_version(self, name: str, number: int) -> bool:
        return self.act(lambda why: self.client.delete_version(name, number, reason=why))

    def delete_model(self, name: str) -> bool:
        return self.act(lambda why: self.client.delete_model(name, reason=why))

    def rollback(self, name: str, stage: Stage) -> bool:
        return self.act(lambda why: self.client.rollback(name, stage, reason=why))

    def restore_model(self, model_id: int, name: str | None) -> bool:
        return self.act(lambda why: self.client.restore_model(model_id, name=name, reason=why))

    def restore_version(self, model_id: int, number: int) -> bool:
        return self.act(lambda why: self.client.restore_version(model_id, number, reason=why))

    def purge_model(self, model_id: int) -> bool:
        return self.act(lambda why: self.client.purge_model(model_id, reason=why))

    def purge_version(self, model_id: int, number: int) -> bool:
        return self.act(lambda why: self.client.purge_version(model_id, number, reason=why))


class Domain:
    """By the functions themselves, as commands that work on the database directly do it."""

    def __init__(self, app: Flask, reasons: Callable[[], tuple[str, str]]) -> None:
        self.app, self.reasons = app, reasons

    def act(self, change: Callable[[Session], Any]) -> bool:
        request_id, reason = self.reasons()
        try:
            with self.app.app_context(), transaction(OPERATOR, request_id=request_id, reason=reason) as session:
                change(session)
        except RegistryError:
            return False
        return True

    def create_model(self, name: str) -> bool:
        return self.act(lambda s: registered_models.create(s, OPERATOR, name, tags={}))

    def create_version(self, name: str, source: str) -> bool:
        return self.act(lambda s: model_versions.create(s, OPERATOR, name, source=source, tags={}))

    def register(self, name: str, source: str, stage: Stage, *, archive: bool) -> bool:
        return self.act(
            lambda s: stages.register(s, OPERATOR, name, stage=stage, archive_others=archive, source=source, tags={})
        )

    def transition(self, name: str, number: int, to: Stage, *, archive: bool) -> bool:
        return self.act(lambda s: stages.transition(s, OPERATOR, name, number, to, archive_others=archive))

    def set_alias(self, name: str, alias: str, number: int) -> bool:
        return self.act(lambda s: aliases.set(s, OPERATOR, name, alias, number))

    def unset_alias(self, name: str, alias: str) -> bool:
        return self.act(lambda s: aliases.unset(s, OPERATOR, name, alias))

    def rename(self, name: str, new_name: str) -> bool:
        return self.act(lambda s: registered_models.rename(s, OPERATOR, name, new_name))

    def delete_version(self, name: str, number: int) -> bool:
        return self.act(lambda s: model_versions.delete(s, OPERATOR, name, number))

    def delete_model(self, name: str) -> bool:
        return self.act(lambda s: registered_models.delete(s, OPERATOR, name))

    def rollback(self, name: str, stage: Stage) -> bool:
        return self.act(lambda s: stages.rollback(s, OPERATOR, name, stage))

    def restore_model(self, model_id: int, name: str | None) -> bool:
        return self.act(lambda s: trash.restore_model(s, OPERATOR, model_id, name=name))

    def restore_version(self, model_id: int, number: int) -> bool:
        return self.act(lambda s: trash.restore_version(s, OPERATOR, model_id, number))

    def purge_model(self, model_id: int) -> bool:
        return self.act(lambda s: trash.purge_model(s, OPERATOR, model_id))

    def purge_version(self, model_id: int, number: int) -> bool:
        return self.act(lambda s: trash.purge_version(s, OPERATOR, model_id, number))
