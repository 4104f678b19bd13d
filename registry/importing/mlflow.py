"""Reads a running MLflow server over its registry REST API. It only asks; nothing there is changed."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError

from registry.domain.imports import Model, Version
from registry.domain.names import PROMPT_TAG, parse_stage
from registry.domain.tracking import without_credentials
from registry.errors import Invalid

API = "/api/2.0/mlflow/"
PAGE = 1_000
TIMEOUT = urllib3.Timeout(connect=10, read=120)
PATIENCE = urllib3.Retry(total=4, backoff_factor=0.5, status_forcelist=[429, 502, 503, 504], raise_on_status=False)
OK, MISSING = 200, 404
READY = "READY"
PROMPTS = f"tags.`{PROMPT_TAG}` = 'true'"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ARTIFACTS = "mlflow-artifacts:/"

Answer = dict[str, Any]


class MlflowError(Exception):
    """The MLflow server cannot be reached, refuses, or says what makes no sense; one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Found:
    """A registered model of the server, and what names its versions by."""

    model: Model
    aliases: Mapping[str, int]


class Server:
    """An MLflow server. User and password, or a token, come in the URL or in `authorization`; they go nowhere else."""

    def __init__(self, url: str, authorization: str | None = None) -> None:
        self.url, headers = without_credentials(url)
        if authorization is not None:
            headers = {"Authorization": authorization}
        self._pool = urllib3.PoolManager(headers=headers, timeout=TIMEOUT, retries=PATIENCE)

    def models(self) -> Iterator[Found]:
        """All registered models by name, then all prompts, which MLflow shows to those alone who ask for them."""
        seen = set()
        for asked in ({}, {"filter": PROMPTS}):
            for row in self._pages("registered-models/search", "registered_models", order_by="name ASC", **asked):
                if row["name"] not in seen:
                    seen.add(row["name"])
                    yield self._found(row)

    def model(self, name: str) -> Found:
        """One registered model or prompt.

        :raises MlflowError: there is none of this name.
        """
        return self._found({"name": name})

    def _found(self, row: Answer) -> Found:
        whole = self._get("registered-models/get", name=row["name"])["registered_model"]
        aliases = {each["alias"]: int(each["version"]) for each in whole.get("aliases", [])}
        return Found(model_of(whole), aliases)

    def versions(self, found: Found) -> Iterator[Version | str]:
        """The versions of a model by number; in the place of one that cannot be brought, why not."""
        quote = '"' if "'" in found.model.name else "'"
        wanted = f"name = {quote}{found.model.name}{quote}"
        if PROMPT_TAG in found.model.tags:
            wanted += f" AND {PROMPTS}"
        rows = self._pages("model-versions/search", "model_versions", filter=wanted, order_by="version_number ASC")
        yield from (self._version(row) for row in rows if row["name"] == found.model.name)

    def _version(self, row: Answer) -> Version | str:
        if row.get("status", READY) != READY:
            return f"version {row['version']}: its status is {row['status']}; here a version is ready or is not"
        try:
            return version_of(row, self._location(row))
        except (KeyError, ValueError, TypeError, Invalid) as error:
            return f"version {row.get('version')}: the answer of MLflow makes no sense ({error})"

    def _location(self, row: Answer) -> str | None:
        """Where the files are of a version whose source is another model's; the rest says it by the source."""
        if not row.get("source", "").startswith("models:"):
            return None
        answer = self._get("model-versions/get-download-uri", name=row["name"], version=row["version"])
        location: str = answer.get("artifact_uri", "")
        if location.startswith(ARTIFACTS) and not location.startswith(ARTIFACTS + "/"):
            # Relative to whatever tracking server the consumer has; made absolute, it loads with any.
            path = location.removeprefix(ARTIFACTS).lstrip("/")
            location = f"{self.url}/api/2.0/mlflow-artifacts/artifacts/{path}"
        return None if location == row["source"] else location or None

    def _pages(self, route: str, items: str, **query: str) -> Iterator[Answer]:
        token = ""
        while True:
            more = {"page_token": token} if token else {}
            answer = self._get(route, **query, **more, max_results=str(PAGE))
            yield from answer.get(items, [])
            token = answer.get("next_page_token", "")
            if not token:
                return

    def _get(self, route: str, **query: str) -> Answer:
        address = f"{self.url}{API}{route}"
        try:
            response = self._pool.request("GET", f"{address}?{urlencode(query)}")
        except HTTPError as error:
            raise MlflowError(f"{self.url} cannot be reached: {reason_of(error)}.") from error
        if response.status != OK:
            raise MlflowError(f"{address} answers {response.status}: {message_of(response.data)}")
        try:
            answer: Answer = json.loads(response.data)
        except ValueError:
            raise MlflowError(f"{address} answers no JSON: is this the address of an MLflow server?") from None
        return answer


def model_of(row: Answer) -> Model:
    """A registered model as MLflow writes it."""
    return Model(
        name=row["name"],
        description=row.get("description") or None,
        tags=tags_of(row),
        created_at=moment(row["creation_timestamp"]),
        updated_at=moment(row.get("last_updated_timestamp") or row["creation_timestamp"]),
    )


def version_of(row: Answer, location: str | None) -> Version:
    """A model version as MLflow writes it."""
    return Version(
        number=int(row["version"]),
        stage=parse_stage(row.get("current_stage", "None")),
        source=row.get("source", ""),
        run_id=row.get("run_id", ""),
        run_link=row.get("run_link", ""),
        description=row.get("description"),
        tags=tags_of(row),
        storage_location=location,
        created_at=moment(row["creation_timestamp"]),
        updated_at=moment(row.get("last_updated_timestamp") or row["creation_timestamp"]),
    )


def tags_of(row: Answer) -> dict[str, str]:
    """Tags as a dictionary."""
    return {tag["key"]: tag.get("value", "") for tag in row.get("tags", [])}


def moment(milliseconds: int | str) -> datetime:
    """A time as MLflow writes it."""
    return EPOCH + timedelta(milliseconds=int(milliseconds))


def reason_of(error: HTTPError) -> str:
    """The cause behind a failed request, without what urllib3 tells of its own doings."""
    cause: BaseException = getattr(error, "reason", None) or error
    text = str(cause)
    return text.rpartition(">: ")[2] or type(cause).__name__


def message_of(body: bytes) -> str:
    """What a refusal says."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace").strip() or "nothing"
