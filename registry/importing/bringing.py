"""The import itself: model by model, in transactions that are whole by themselves, so that it can stop anywhere.

A second run goes on where the first one stopped, and later brings what has come since. It never changes what is here.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

from sqlalchemy.orm import Session

from registry.db import transaction
from registry.domain import imports
from registry.domain.access import Principal
from registry.domain.imports import Version
from registry.errors import RegistryError
from registry.importing.mlflow import Found, Server

AT_ONCE = 100
"""Versions in one transaction: others wait for the model as long as it takes."""

Say = Callable[[str], object]


@dataclass
class Report:
    """What came, what was here already, and what could not come and why."""

    request_id: str
    models: int = 0
    versions: int = 0
    aliases: int = 0
    present: int = 0
    """Models, versions and aliases that were here already."""
    problems: list[tuple[str, str]] = field(default_factory=list)
    """The model, and what of it could not come, or stands otherwise here."""


NOT_TOLD = (
    "who registered and who promoted: MLflow keeps neither",
    "when a version was in which stage: MLflow keeps the present stage alone; history begins with the import",
    "deleted versions: MLflow does not hand them out",
    "webhooks and permissions: they are settings of that server, and belong to its addresses and users",
)
"""What an MLflow server does not tell over its registry API, so that no import can bring it."""


class Bringing:
    """One run of an import."""

    def __init__(self, server: Server, principal: Principal, say: Say, *, dry_run: bool = False) -> None:
        self._server, self._principal, self._say, self._dry_run = server, principal, say, dry_run
        self.report = Report(request_id=f"import-{uuid.uuid4()}")

    def bring(self, found: Iterable[Found]) -> Report:
        """Bring these models with all that belongs to them."""
        for count, each in enumerate(found, start=1):
            before = replace(self.report, problems=[*self.report.problems])
            versions = list(self._server.versions(each))
            if self._dry_run:
                with self._change(dry_run=True):
                    self._model(each, versions)
            else:
                self._model(each, versions)
            self._say(f"{count:>6}  {each.model.name}: {self._since(before)}")
        return self.report

    def _since(self, before: Report) -> str:
        report = self.report
        told = f"{report.versions - before.versions} versions, {report.aliases - before.aliases} aliases"
        refused = len(report.problems) - len(before.problems)
        return told + (f", {refused} problems" if refused else "")

    def _change(self, *, dry_run: bool = False) -> AbstractContextManager[Session]:
        reason = f"import from {self._server.url}"
        return transaction(self._principal, reason=reason, request_id=self.report.request_id, dry_run=dry_run)

    def _model(self, found: Found, versions: list[Version | str]) -> None:
        name = found.model.name
        tags, refused = imports.fitting(found.model.tags)
        self._note(name, *refused)
        with self._change() as session:
            take = partial(imports.take_model, session, self._principal, replace(found.model, tags=tags))
            here = self._try(session, name, take)
        if here is None:
            self._note(name, f"so none of its {len(versions)} versions came")
            return
        self._count("models", new=here)
        for batch in batches(versions):
            with self._change() as session:
                self._batch(session, name, batch)
        with self._change() as session:
            for alias, number in sorted(found.aliases.items()):
                take = partial(imports.take_alias, session, self._principal, name, alias, number)
                self._count("aliases", new=self._try(session, name, take, f"alias '{alias}'"))

    def _batch(self, session: Session, name: str, batch: list[Version | str]) -> None:
        readable = [version for version in batch if not isinstance(version, str)]
        self._note(name, *(why for why in batch if isinstance(why, str)))
        present = imports.here_already(session, self._principal, name, readable)
        for version in readable:
            if version.number not in present:
                self._version(session, name, version)
                continue
            self._count("versions", new=False)
            stands = present[version.number]
            if stands not in {None, version.stage}:
                there = f"version {version.number} stands in {stands} here, and in {version.stage} there: it stays"
                self._note(name, there)

    def _version(self, session: Session, name: str, version: Version) -> None:
        called = f"version {version.number}"
        tags, refused = imports.fitting(version.tags)
        take = partial(imports.take_version, session, self._principal, name, replace(version, tags=tags))
        new = self._try(session, name, take, called)
        self._count("versions", new=new)
        if new:
            self._note(name, *(f"{called}, {text}" for text in refused))

    def _try(self, session: Session, name: str, take: Callable[[], bool], what: str = "") -> bool | None:
        """Do one part wholly or not at all; a refusal is a problem for the report, and None."""
        try:
            with session.begin_nested():
                return take()
        except RegistryError as refusal:
            self._note(name, f"{what}: {refusal.message}" if what else refusal.message)
            return None

    def _count(self, kind: str, *, new: bool | None) -> None:
        if new is not None:
            kind = kind if new else "present"
            setattr(self.report, kind, getattr(self.report, kind) + 1)

    def _note(self, name: str, *problems: str) -> None:
        self.report.problems += [(name, problem) for problem in problems]


def batches(versions: Iterable[Version | str]) -> Iterator[list[Version | str]]:
    """So many at a time as one transaction takes."""
    rest = iter(versions)
    while batch := list(islice(rest, AT_ONCE)):
        yield batch
