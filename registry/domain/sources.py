"""Where a model version may come from. The registry keeps a source as text; it never opens one.

Source of the rules: MLflow's `CreateModelVersion`, changed for a registry that stands apart from the tracking server:
a logged model or a run is taken at its word, because only the tracking server could look it up.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from sqlalchemy.orm import Session

from registry.config import Settings
from registry.domain import access, names, references, tracking
from registry.domain.access import Principal
from registry.errors import Invalid
from registry.vocabulary import Permission

PROMPT_PLACEHOLDERS = ("dummy-source", "prompt-template")
HOST_SCHEMES = frozenset({"ftp", "sftp", "hdfs", "viewfs", "http", "https", "r2", "b2", "abfss"})
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+):")  # two letters at least: 'C:' begins a path
LOGGED_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a registration says about its origin. `run_id` None means not said, which "" does not."""

    source: str
    run_id: str | None
    logged_model_id: str | None
    is_prompt: bool
    digest: str | None = None

    def refusal(self, why: str) -> Invalid:
        """A refusal of this source."""
        return Invalid(f"Invalid model version source: '{self.source}'. {why}", "source")


@dataclass(frozen=True, slots=True)
class Origin:
    """What is kept of it. `storage_location` is where the files are, if that is not the source itself.

    `digest` is that of the version it was copied from, if any.
    """

    source: str
    run_id: str
    logged_model_id: str | None = None
    storage_location: str | None = None
    digest: str | None = None


def accept(session: Session, principal: Principal, asked: Asked, settings: Settings) -> Origin:
    """Check a source and find out what can be known about it.

    :raises Invalid: the source cannot be one, or says something else than run id or model id.
    :raises NotFound: the source is a registered model version that does not exist.
    """
    names.check_text("source", asked.source, names.SOURCE_MAX)
    names.check_text("model_id", asked.logged_model_id, names.MODEL_ID_MAX)
    if asked.is_prompt:
        return accept_prompt(asked)
    scheme = scheme_of(asked.source)
    if scheme == "models":
        return accept_model(session, principal, asked, settings)
    check_host(asked, scheme, settings)
    check_traversal(asked)
    if scheme == "runs":
        return accept_run(asked)
    if scheme in {"", "file"}:
        check_local(asked, settings)
    return Origin(asked.source, asked.run_id or "", asked.logged_model_id)


def scheme_of(source: str) -> str:
    """The scheme of a URI in lower case; empty for a path."""
    found = SCHEME.match(source)
    return found.group(1).lower() if found else ""


def accept_prompt(asked: Asked) -> Origin:
    """A prompt has no files: its source is one of two fixed words."""
    if asked.source not in PROMPT_PLACEHOLDERS:
        raise Invalid(
            f"Invalid prompt source: '{asked.source}'. Prompt sources must use an MLflow placeholder.", "source"
        )
    return Origin(asked.source, asked.run_id or "")


def accept_model(session: Session, principal: Principal, asked: Asked, settings: Settings) -> Origin:
    """`models:/…`: a logged model of the tracking server, or a version of this registry."""
    path = asked.source.partition(":")[2]
    if path.startswith("//") and not path.startswith("///"):
        raise asked.refusal("Registered model sources must use the active model registry.")
    path = path.lstrip("/")
    if "/" not in path and "@" not in path:
        return accept_logged_model(path, asked, settings)
    return accept_registered(session, principal, asked)


def accept_logged_model(model_id: str, asked: Asked, settings: Settings) -> Origin:
    """A logged model is taken at its word; where a tracking server is set, its files and its run are asked for."""
    if not LOGGED_MODEL_ID.fullmatch(model_id) or asked.logged_model_id not in {None, "", model_id}:
        raise asked.refusal("The model_id request parameter must identify the resource that contains the source.")
    located = tracking.locate(settings, model_id)
    run_id = asked.run_id or located.run_id
    return Origin(asked.source, run_id, model_id, located.storage_location)


def accept_registered(session: Session, principal: Principal, asked: Asked) -> Origin:
    """Another version of this registry: kept by its number, with the run and the files of that version."""
    reference = references.parse(asked.source)
    if reference is None:
        raise asked.refusal("The model_id request parameter must identify the resource that contains the source.")
    access.require(session, principal, Permission.READ, reference.name)
    version = references.follow(session, reference)
    if any(tag.key == names.PROMPT_TAG and tag.value.lower() == "true" for tag in version.tags):
        raise asked.refusal("Prompt versions cannot be used as model version sources.")
    same_run = asked.run_id is None or asked.run_id == version.run_id
    if not same_run or (asked.logged_model_id or version.logged_model_id) != version.logged_model_id:
        raise asked.refusal("The run_id and model_id request parameters must match the referenced model version.")
    if asked.digest and version.digest and asked.digest != version.digest:
        raise Invalid(f"'{asked.source}' has another digest: {version.digest}. Leave it out, or correct it.", "digest")
    return Origin(
        f"models:/{version.model.name}/{version.number}",
        version.run_id,
        version.logged_model_id,
        version.storage_location or version.source,
        version.digest,
    )


def accept_run(asked: Asked) -> Origin:
    """`runs:/<run id>/<path>`: names its run itself."""
    path = asked.source.partition(":")[2]
    run_id = "" if path.startswith("//") else path.strip("/").partition("/")[0]
    if asked.logged_model_id:
        raise asked.refusal("The model_id request parameter must identify the resource that contains the source.")
    if not run_id or asked.run_id not in {None, "", run_id}:
        raise asked.refusal("The run_id request parameter must identify the resource that contains the source.")
    names.check_text("run_id", run_id, names.RUN_ID_MAX)
    return Origin(asked.source, run_id)


def check_host(asked: Asked, scheme: str, settings: Settings) -> None:
    """:raises Invalid: the source is on a host that is not on the list of those that consumers may be sent to."""
    try:
        parts = urlsplit(asked.source)
        host = (parts.hostname or "").lower()
    except ValueError:
        raise asked.refusal("It is not a URI.") from None
    addressed = scheme in HOST_SCHEMES or (scheme == "mlflow-artifacts" and host)
    ambiguous = "\\" in parts.netloc  # to some readers the end of the host, to others a part of what precedes it
    if addressed and (ambiguous or host not in settings.source_hosts):
        raise Invalid(
            f"'source' cannot use the '{scheme}' scheme: the '{scheme}' scheme addresses a host other than the "
            "tracking server's. An operator can allow the host with REGISTRY_SOURCE_HOSTS.",
            "source",
        )


def check_traversal(asked: Asked) -> None:
    """:raises Invalid: the path, after all decoding, is empty or has a segment that leads elsewhere."""
    path = unquoted(asked.source)
    relative = False
    if scheme_of(path):
        path = path.partition(":")[2]
        relative = not path.startswith("/")
        if path.startswith("//"):
            path = "/" + path[2:].partition("/")[2]
    segments = path.replace("\\", "/").split("/")
    if relative or not path.strip("/") or any(segment in {".", ".."} for segment in segments) or "\x00" in path:
        raise asked.refusal(
            "If supplying a source as an http, https, local file path, ftp, objectstore, or mlflow-artifacts uri, an "
            "absolute path must be provided without relative path references present. "
            "Please provide an absolute path."
        )


def unquoted(text: str) -> str:
    """The text after percent-decoding, repeated until nothing changes (each round shortens it)."""
    while (decoded := unquote(text)) != text:
        text = decoded
    return text


def check_local(asked: Asked, settings: Settings) -> None:
    """:raises Invalid: paths of this or some other machine are not allowed here, or it is not an absolute one."""
    if not settings.local_sources:
        raise asked.refusal(
            "Local paths are not accepted here, because other machines cannot read them: register from a run, a "
            "logged model or an object store, or ask an operator to set REGISTRY_LOCAL_SOURCES=on."
        )
    path = asked.source
    if scheme_of(path):
        parts = urlsplit(path)
        if parts.hostname not in {None, "localhost"}:
            raise asked.refusal("A file URI must not name another host.")
        path = parts.path
    if not (path.startswith("/") or re.match(r"[A-Za-z]:[\\/]", path)):
        raise asked.refusal("A local path must be absolute.")
