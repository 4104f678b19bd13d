"""Where a model version may come from: the policy as one table, and a corpus of sources that lead elsewhere."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from registry.config import Settings
from registry.db import db, transaction
from registry.domain import access, aliases, model_versions, registered_models, sources
from registry.domain.access import OPERATOR
from registry.domain.names import PROMPT_TAG
from registry.domain.sources import Asked, Origin
from registry.errors import (
    AliasNotFound,
    Invalid,
    ModelNotFound,
    NoVersions,
    RegistryError,
    StageEmpty,
    VersionNotFound,
)
from registry.vocabulary import Effect, Permission, Role, Stage
from tests.factories import make_model, make_version, move, trusted, unique

pytestmark = [pytest.mark.usefixtures("context"), pytest.mark.usefixtures("nothing_is_opened")]

STRICT = Settings()
OPEN = Settings(local_sources=True, source_hosts=frozenset({"store.example", "account.example"}))
LOGGED = "m-" + "0123456789abcdef" * 2

ELSEWHERE = "without relative path references present. Please provide an absolute path."
NOT_LOCAL = "Local paths are not accepted here, because other machines cannot read them"
RUN_MISMATCH = "The run_id request parameter must identify the resource that contains the source."
MODEL_MISMATCH = "The model_id request parameter must identify the resource that contains the source."
COPY_MISMATCH = "The run_id and model_id request parameters must match the referenced model version."
NOT_ACTIVE = "Registered model sources must use the active model registry."


def on_a_host(scheme: str) -> str:
    return f"'source' cannot use the '{scheme}' scheme: the '{scheme}' scheme addresses a host other than"


def row(says: str, *values: object) -> Any:
    """One row of a table, called by what it says."""
    return pytest.param(*values, id=says)


# Nothing is ever opened.

OPENING = {"open", "os.listdir", "os.scandir", "socket.connect", "socket.getaddrinfo", "urllib.Request"}
OPENING |= {"subprocess.Popen", "os.exec", "os.system"}


class Watch:
    """Notes what is opened while it is on; the interpreter's hooks cannot be taken off again."""

    def __init__(self) -> None:
        self.seen: list[str] | None = None
        sys.addaudithook(self.note)

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.seen is not None and event in OPENING and not is_code(arguments[0]):
            self.seen.append(f"{event} {arguments[0]!r}")


def is_code(opened: object) -> bool:
    """Python reads its modules when they are first needed."""
    return isinstance(opened, str) and opened.endswith((".py", ".pyc", ".so"))


WATCH = Watch()


@pytest.fixture
def nothing_is_opened(context: None, registry: dict[str, str]) -> Iterator[None]:
    """Whatever a test here asks for, no file and no connection is opened."""
    WATCH.seen = []
    yield
    seen, WATCH.seen = WATCH.seen, None
    assert seen == []


def test_the_watch_sees_what_is_opened(tmp_path: Path) -> None:
    WATCH.seen = []
    (tmp_path / "model").write_text("weights")
    list(tmp_path.iterdir())
    assert [seen.partition(" ")[0] for seen in WATCH.seen] == ["open", "os.listdir"]
    WATCH.seen = []


def accept(
    source: str,
    run_id: str | None = None,
    model_id: str | None = None,
    *,
    prompt: bool = False,
    settings: Settings = STRICT,
    principal: access.Principal = OPERATOR,
) -> Origin:
    return sources.accept(db.session(), principal, Asked(source, run_id, model_id, prompt), settings)


def refusal_of(source: str, *given: Any, kind: type[RegistryError] = Invalid, **more: Any) -> RegistryError:
    with pytest.raises(kind) as refused:
        accept(source, *given, **more)
    assert type(refused.value) is kind
    return refused.value


# The policy.

ACCEPTED = [
    row("an object store", "s3://bucket/a/b"),
    row("Google's", "gs://bucket/a"),
    row("Azure's", "wasbs://container@account/a"),
    row("a store with a path alone", "dbfs:/a/b"),
    row("a scheme nobody knows", "s3+custom://bucket/a"),
    row("a scheme in capitals", "S3://bucket/a"),
    row("doubled slashes and one at the end", "s3://bucket//a//b/"),
    row("dots in names", "s3://bucket/a..b/.c/...d/v1.0"),
    row("encoded characters", "s3://bucket/a%20b%41"),
    row("a space", "s3://bucket/a b"),
    row("letters of other scripts", "s3://bucket/漢"),
    row("artifacts of the tracking server", "mlflow-artifacts:/1/run/artifacts/model"),
    row("the same without a host", "mlflow-artifacts:///1/run/artifacts/model"),
]


@pytest.mark.parametrize("settings", [STRICT, OPEN], ids=["strict", "open"])
@pytest.mark.parametrize(("run_id", "kept"), [(None, ""), ("", ""), ("run-1", "run-1")])
@pytest.mark.parametrize("source", ACCEPTED)
def test_accepted_as_it_is_with_any_run_or_none(source: str, run_id: str | None, kept: str, settings: Settings) -> None:
    assert accept(source, run_id, settings=settings) == Origin(source, kept)


def test_a_logged_model_said_with_a_store_is_kept() -> None:
    assert accept("s3://bucket/a", "run-1", LOGGED) == Origin("s3://bucket/a", "run-1", LOGGED)


ON_HOSTS = [
    "ftp://store.example/a",
    "sftp://store.example/a",
    "hdfs://store.example/a",
    "viewfs://store.example/a",
    "http://store.example/a",
    "https://store.example:8443/a",
    "HTTPS://STORE.EXAMPLE/a",
    "r2://store.example/a",
    "b2://store.example/a",
    "abfss://container@account.example/a",
    "mlflow-artifacts://store.example/1/a",
]


@pytest.mark.parametrize("source", ON_HOSTS)
def test_a_host_is_accepted_only_where_it_is_allowed(source: str) -> None:
    assert accept(source, settings=OPEN) == Origin(source, "")
    refused = refusal_of(source)
    assert refused.message.startswith(on_a_host(source.partition(":")[0].lower()))


DISGUISED = [
    row("another host", "https://evil.example/a"),
    row("an allowed one within", "https://store.example.evil.example/a"),
    row("one within an allowed one", "https://evil-store.example/a"),
    row("an allowed one as the user", "https://store.example@evil.example/a"),
    row("an allowed one as user and password", "https://store.example:80@evil.example/a"),
    row("an allowed one behind a backslash", "https://evil.example\\@store.example/a"),
    row("an allowed one before a backslash", "https://store.example\\.evil.example/a"),
    row("an allowed one in the path", "https://evil.example/store.example/a"),
    row("an allowed one in the fragment", "https://evil.example#@store.example/a"),
    row("an allowed one in the query", "https://evil.example?@store.example/a"),
    row("no host", "https:///a"),
    row("no authority", "https:/evil.example/a"),
    row("no slash", "https:evil.example/a"),
    row("backslashes for slashes", "https:\\\\evil.example\\a"),
    row("a tab between the slashes", "https:/\t/evil.example/a"),
    row("a tab in an allowed one", "https://store.example\t.evil.example/a"),
    row("a full stop of another script", "https://store\u3002example/a"),
]


@pytest.mark.parametrize("source", DISGUISED)
def test_a_host_is_not_allowed_by_a_disguise(source: str) -> None:
    assert refusal_of(source, settings=OPEN).message.startswith(on_a_host("https"))


NO_URIS = [
    row("an open bracket", "https://[::1/a"),
    row("characters that turn into others", "https://store.example\u2100/a"),
]


@pytest.mark.parametrize("source", NO_URIS)
def test_what_is_no_uri_is_refused(source: str) -> None:
    assert refusal_of(source, settings=OPEN).message == f"Invalid model version source: '{source}'. It is not a URI."


LOCAL = [
    row("an absolute path", "/models/churn"),
    row("a path with a space", "/models/my churn"),
    row("a Windows path", "C:/models/churn"),
    row("a Windows path with backslashes", "C:\\models\\churn"),
    row("a file URI", "file:///models/churn"),
    row("a file URI of this host", "file://localhost/models/churn"),
    row("a file URI in capitals", "FILE:///models/churn"),
    row("a file URI with one slash", "file:/models/churn"),
]


@pytest.mark.parametrize("source", LOCAL)
def test_a_local_path_is_accepted_only_where_local_paths_are(source: str) -> None:
    assert accept(source, "run-1", settings=OPEN) == Origin(source, "run-1")
    assert NOT_LOCAL in refusal_of(source, "run-1").message


NOT_ABSOLUTE = [
    row("a relative path", "models/churn", "A local path must be absolute."),
    row("a bare word", "churn", "A local path must be absolute."),
    row("a home directory", "~/churn", "A local path must be absolute."),
    row("a disk and a relative path", "C:churn", "A local path must be absolute."),
    row("a file URI of another host", "file://evil.example/a", "A file URI must not name another host."),
    row("a file URI of an allowed host", "file://store.example/a", "A file URI must not name another host."),
    row("a file URI of this host's address", "file://127.0.0.1/a", "A file URI must not name another host."),
    row("a relative file URI", "file:churn", ELSEWHERE),
    row("a file URI without a path", "file:///", ELSEWHERE),
    row("an encoded scheme", "%68ttps://evil.example/a", "A local path must be absolute."),
    row("a scheme behind a space", " https://evil.example/a", "A local path must be absolute."),
    row("a scheme with a newline in it", "ht\ntps://evil.example/a", "A local path must be absolute."),
]


@pytest.mark.parametrize(("source", "message"), NOT_ABSOLUTE)
def test_a_local_path_must_be_absolute_and_here(source: str, message: str) -> None:
    assert message in refusal_of(source, settings=OPEN).message
    refusal_of(source)


def test_whether_a_local_path_exists_does_not_matter(tmp_path: Path) -> None:
    there = tmp_path.joinpath("there")
    WATCH.seen = None
    there.write_text("weights")
    WATCH.seen = []
    for path in (str(there), str(tmp_path / "not-there"), str(tmp_path), there.as_uri()):
        assert accept(path, settings=OPEN) == Origin(path, "")


# Sources that lead elsewhere.

BEGINNINGS = {
    "a store": "s3://bucket/",
    "a path alone": "dbfs:/",
    "an unknown scheme": "custom://x/",
    "artifacts": "mlflow-artifacts:/",
    "a host": "https://store.example/",
    "a file URI": "file:///",
    "a path": "/",
    "a run": "runs:/run-1/",
}


TWENTY_TIMES = "%" + "25" * 20 + "2e"
LEADING = {
    "up": "a/../b",
    "up at the end": "a/..",
    "up at once": "../a",
    "here": "a/./b",
    "here at the end": "a/.",
    "up, encoded": "a/%2e%2e/b",
    "up, half encoded": "a/.%2E/b",
    "up, encoded twice": "a/%252e%252e/b",
    "up, encoded twenty times": f"a/{TWENTY_TIMES * 2}/b",
    "up and a slash, encoded": "a%2f..%2fb",
    "here, encoded": "a/%2e/b",
    "up with backslashes": "a\\..\\b",
    "up with backslashes, encoded": "a%5c..%5cb",
    "NUL": "a\0b",
    "NUL, encoded": "a%00b",
    "up behind a fragment": "a#/../b",
    "up behind a query": "a?/../b",
}


@pytest.mark.parametrize("leading", LEADING.values(), ids=LEADING)
@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS)
def test_a_source_must_not_lead_elsewhere(beginning: str, leading: str) -> None:
    source = beginning + leading
    refused = refusal_of(source, settings=OPEN)
    assert refused.message.startswith(f"Invalid model version source: '{source}'. If supplying a source as an http,")
    assert refused.message.endswith(ELSEWHERE)


@pytest.mark.parametrize(
    "source", ["", "/", "//", "s3:", "s3://bucket", "s3://bucket//", "dbfs:/", "dbfs:a", "runs:a/b", "..", "%2e%2e"]
)
def test_a_source_must_be_an_absolute_path(source: str) -> None:
    assert refusal_of(source, settings=OPEN).message.endswith(ELSEWHERE)


def test_a_source_has_2000_characters_at_most() -> None:
    longest = "s3://bucket/" + "a" * 1_988
    assert accept(longest).source == longest
    refused = refusal_of(longest + "a")
    assert refused.message == "'source' exceeds the maximum length of 2000 characters"


# Runs.

RUNS = [
    row("its run not said", "runs:/run-1/model", None, "run-1"),
    row("its run said", "runs:/run-1/model", "run-1", "run-1"),
    row("its run said to be none", "runs:/run-1/model", "", "run-1"),
    row("no path in the run", "runs:/run-1", None, "run-1"),
    row("a scheme in capitals", "RUNS:/run-1/model", None, "run-1"),
]


@pytest.mark.parametrize(("source", "run_id", "kept"), RUNS)
def test_a_run_is_taken_at_its_word(source: str, run_id: str | None, kept: str) -> None:
    assert accept(source, run_id) == Origin(source, kept)


NO_RUNS = [
    row("another run said", "runs:/run-1/model", "run-2", None, RUN_MISMATCH),
    row("the run in other letters", "runs:/run-1/model", "RUN-1", None, RUN_MISMATCH),
    row("a part of its run said", "runs:/run-1/model", "run", None, RUN_MISMATCH),
    row("a host before the run", "runs://run-1/model", None, None, RUN_MISMATCH),
    row("a logged model, too", "runs:/run-1/model", "run-1", LOGGED, MODEL_MISMATCH),
    row("an overlong run", f"runs:/{'r' * 65}/model", None, None, "'run_id' exceeds the maximum length of 64"),
]


@pytest.mark.parametrize(("source", "run_id", "model_id", "message"), NO_RUNS)
def test_a_run_is_refused(source: str, run_id: str | None, model_id: str | None, message: str) -> None:
    assert message in refusal_of(source, run_id, model_id).message


# Logged models.


@pytest.mark.parametrize("source", [f"models:/{LOGGED}", f"models:///{LOGGED}", f"MODELS:/{LOGGED}"])
@pytest.mark.parametrize("model_id", [None, "", LOGGED])
@pytest.mark.parametrize(("run_id", "kept"), [(None, ""), ("", ""), ("run-1", "run-1")])
def test_a_logged_model_is_taken_at_its_word(source: str, model_id: str | None, run_id: str | None, kept: str) -> None:
    assert accept(source, run_id, model_id) == Origin(source, kept, LOGGED)


NO_LOGGED_MODELS = [
    row("another one said", f"models:/{LOGGED}", "m-" + "1" * 32),
    row("one that is too short", "models:/m-0123", None),
    row("one that is too long", f"models:/{LOGGED}0", None),
    row("one in capitals", f"models:/{LOGGED.upper()}", None),
    row("one with a newline", f"models:/{LOGGED}\n", None),
    row("a name alone", "models:/churn", None),
    row("nothing", "models:/", None),
    row("nothing at all", "models:", None),
]


@pytest.mark.parametrize(("source", "model_id"), NO_LOGGED_MODELS)
def test_a_logged_model_is_refused(source: str, model_id: str | None) -> None:
    assert MODEL_MISMATCH in refusal_of(source, None, model_id).message


# Versions of this registry.


@pytest.fixture(scope="module")
def registry(app: Flask) -> dict[str, str]:
    """Names: a model (1 of a run, 2 a logged model in Production, 3 of no run), a prompt, and one that nobody has."""
    with app.app_context():
        name, prompt = make_model(), make_model()
        with transaction(OPERATOR) as session:
            for given in ({"run_id": "run-1"}, {"run_id": "run-2", "source": f"models:/{LOGGED}"}, {}):
                asked: dict[str, Any] = {"source": "s3://bucket/one", "tags": {}} | given
                model_versions.create(session, OPERATOR, name, **asked)
            aliases.set(session, OPERATOR, name, "champion", 1)
            model_versions.create(session, OPERATOR, prompt, source="dummy-source", tags={PROMPT_TAG: "True"})
        move(name, 2, Stage.PRODUCTION)
    return {"name": name, "prompt": prompt, "unknown": unique()}


ONE = ("models:/{name}/1", "run-1", None, "s3://bucket/one")
TWO = ("models:/{name}/2", "run-2", LOGGED, f"models:/{LOGGED}")
THREE = ("models:/{name}/3", "", None, "s3://bucket/one")
COPIES = [
    row("by number", "models:/{name}/1", {}, ONE),
    row("by number with zeros", "models:/{name}/001", {}, ONE),
    row("by stage", "models:/{name}/Production", {}, TWO),
    row("by stage in other letters", "models:/{name}/pRODUCTION", {}, TWO),
    row("the latest", "models:/{name}/latest", {}, THREE),
    row("the latest by alias", "models:/{name}@LATEST", {}, THREE),
    row("by alias", "models:/{name}@champion", {}, ONE),
    row("with more slashes", "models:///{name}/1", {}, ONE),
    row("its run said", "models:/{name}/1", {"run_id": "run-1"}, ONE),
    row("no run said of one without", "models:/{name}/3", {"run_id": ""}, THREE),
    row("its logged model said", "models:/{name}/2", {"run_id": "run-2", "model_id": LOGGED}, TWO),
    row("no logged model said", "models:/{name}/2", {"model_id": ""}, TWO),
]


@pytest.mark.parametrize(("source", "given", "kept"), COPIES)
def test_a_version_is_kept_by_its_number_with_its_run_and_files(
    registry: dict[str, str], source: str, given: dict[str, Any], kept: tuple[str, str, str | None, str]
) -> None:
    canonical, run_id, model_id, location = kept
    wanted = Origin(canonical.format(**registry), run_id, model_id, location)
    assert accept(source.format(**registry), **given) == wanted


NO_COPIES = [
    row("another run said", "models:/{name}/1", {"run_id": "run-2"}, Invalid, COPY_MISMATCH),
    row("no run said of one with", "models:/{name}/1", {"run_id": ""}, Invalid, COPY_MISMATCH),
    row("a logged model said of one without", "models:/{name}/1", {"model_id": LOGGED}, Invalid, COPY_MISMATCH),
    row("another logged model", "models:/{name}/2", {"model_id": "m-" + "1" * 32}, Invalid, COPY_MISMATCH),
    row("a version that is not there", "models:/{name}/4", {}, VersionNotFound, "(name={name}, version=4) not found"),
    row("version 0", "models:/{name}/0", {}, VersionNotFound, "(name={name}, version=0) not found"),
    row("a model that is not there", "models:/{unknown}/1", {}, ModelNotFound, "with name={unknown} not found"),
    row("the stage of none", "models:/{unknown}/Staging", {}, ModelNotFound, "with name={unknown} not found"),
    row("an empty stage", "models:/{name}/Staging", {}, StageEmpty, "name '{name}' and stage 'Staging' found"),
    row("an alias that is not there", "models:/{name}@best", {}, AliasNotFound, "alias best not found."),
    row("what is no stage", "models:/{name}/v1", {}, Invalid, "Invalid Model Version stage: v1."),
    row("a prompt", "models:/{prompt}/1", {}, Invalid, "Prompt versions cannot be used as model version sources."),
    row("another registry", "models://elsewhere/{name}/1", {}, Invalid, NOT_ACTIVE),
    row("another registry's name", "models://{name}/1", {}, Invalid, NOT_ACTIVE),
    row("too many parts", "models:/{name}/1/model", {}, Invalid, MODEL_MISMATCH),
    row("no name", "models:/@champion", {}, Invalid, MODEL_MISMATCH),
]


@pytest.mark.parametrize(("source", "given", "kind", "message"), NO_COPIES)
def test_a_version_is_refused(
    registry: dict[str, str], source: str, given: dict[str, str], kind: type[RegistryError], message: str
) -> None:
    assert message.format(**registry) in refusal_of(source.format(**registry), kind=kind, **given).message


def test_the_latest_of_a_model_without_versions_is_refused() -> None:
    refusal_of(f"models:/{make_model()}/latest", kind=NoVersions)


def test_what_may_not_be_read_is_not_copied_either(registry: dict[str, str]) -> None:
    secret = access.Grant(1, Effect.DENY, frozenset({Permission.READ}), registry["name"])
    writer = replace(trusted("wanda", Role.CONTRIBUTOR), grants=(access.whole(Role.CONTRIBUTOR), secret))
    assert accept("s3://bucket/a", principal=writer) == Origin("s3://bucket/a", "")
    hidden = refusal_of(f"models:/{registry['name']}/1", kind=ModelNotFound, principal=writer)
    absent = refusal_of(f"models:/{registry['unknown']}/1", kind=ModelNotFound, principal=writer)
    assert hidden.message.replace(registry["name"], registry["unknown"]) == absent.message


def test_what_is_kept_of_a_source_outlives_its_name() -> None:
    name, copy = make_model(), make_model()
    make_version(name, source="s3://bucket/original")
    make_version(copy, source=f"models:/{name}/latest")
    with transaction(OPERATOR) as session:
        registered_models.rename(session, OPERATOR, name, unique())
    version = model_versions.get(db.session(), OPERATOR, copy, 1)
    assert (version.source, version.storage_location) == (f"models:/{name}/1", "s3://bucket/original")


# Prompts.


@pytest.mark.parametrize("source", ["dummy-source", "prompt-template"])
def test_a_prompt_has_a_placeholder_for_a_source(source: str) -> None:
    assert accept(source, prompt=True) == Origin(source, "")
    assert NOT_LOCAL in refusal_of(source).message


@pytest.mark.parametrize("source", ["", "Dummy-source", "s3://bucket/a", "/models/churn", "https://store.example/a"])
def test_a_prompt_has_no_other_source(source: str) -> None:
    refused = refusal_of(source, prompt=True, settings=OPEN)
    assert refused.message == (f"Invalid prompt source: '{source}'. Prompt sources must use an MLflow placeholder.")


@pytest.mark.parametrize(("value", "is_prompt"), [("true", True), ("TRUE", True), ("false", False), ("", False)])
def test_a_tag_makes_a_version_a_prompt(value: str, *, is_prompt: bool) -> None:
    name, source = make_model(), "dummy-source" if is_prompt else "s3://bucket/a"
    with transaction(OPERATOR) as session:
        made = model_versions.create(session, OPERATOR, name, source=source, tags={PROMPT_TAG: value})
        assert made.source == source
    with pytest.raises(Invalid), transaction(OPERATOR) as session:
        other = "s3://bucket/a" if is_prompt else "dummy-source"
        model_versions.create(session, OPERATOR, name, source=other, tags={PROMPT_TAG: value})
