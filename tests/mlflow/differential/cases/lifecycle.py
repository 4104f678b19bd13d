"""Stages, descriptions, tags, aliases, renaming, deleting: what moves, what stays, and which timestamps change."""

from collections.abc import Iterator

from tests.mlflow.differential.requests import Step, all_pages, delete, get, patch, post, scenario

LATEST = "registered-models/get-latest-versions"
MOVE = "model-versions/transition-stage"


def a_model(name: str, versions: int, **more: object) -> list[Step]:
    """A model with versions that have no more than a source."""
    return [
        post("registered-models/create", name=name, **more),
        *(
            post("model-versions/create", f"version {number} of {name}", name=name, source=f"s3://b/{number}")
            for number in range(1, versions + 1)
        ),
    ]


def move(name: str, version: str, stage: str, archive: bool | None = None) -> Step:
    """A transition; `archive` None leaves the switch out."""
    switch = {} if archive is None else {"archive_existing_versions": archive}
    label = f"{name} {version} to {stage!r}" + ("" if archive is None else f", archiving {archive}")
    return post(MOVE, label, name=name, version=version, stage=stage, **switch)


def look(name: str, *versions: str) -> Iterator[Step]:
    """The whole model, and these versions."""
    yield get("registered-models/get", f"look at {name}", name=name)
    for version in versions:
        yield get("model-versions/get", f"look at {name} {version}", name=name, version=version)


STAGE_WORDS = ["None", "none", "NONE", "Staging", "sTAGING", "Production", "PRODUCTION", "Archived", "archived"]
NO_STAGES = ["bogus", " Production", "Production ", "Deleted_Internal", "Prod", "1", "\u017ftaging", "null"]

STAGES = scenario(
    "stages",
    a_model("Staged", 4),
    [move("Staged", "1", word) for word in STAGE_WORDS],
    [move("Staged", "1", word) for word in NO_STAGES],
    [move("Staged", "1", "Archived"), move("Staged", "1", "Archived")],
    look("Staged", "1"),
    [move("Staged", "1", "Staging"), move("Staged", "2", "Staging"), move("Staged", "3", "Staging", False)],
    post(LATEST, "three versions share a stage", name="Staged", stages=["Staging"]),
    [move("Staged", "2", "Staging", True)],
    look("Staged", "1", "2", "3"),
    [move("Staged", "4", "Production", True), move("Staged", "2", "Production", True)],
    look("Staged", "1", "2", "3", "4"),
    [move("Staged", "2", "Production", True), move("Staged", "9", "Production", True)],
    [move("Nobody", "1", "Production", True), move("Nobody", "1", "Production")],
    [move("Staged", "1", "None", True), move("Staged", "1", "Archived", True), move("Staged", "1", "archived", True)],
    [move("Staged", "1", "Archived", False)],
    look("Staged", "1", "2", "3", "4"),
    delete("model-versions/delete", name="Staged", version="2"),
    [move("Staged", "2", "Production", True), move("Staged", "2", "None")],
    look("Staged", "2", "4"),
)

STAGE_LISTS: list[list[str]] = [
    [],
    ["None"],
    ["none", "PRODUCTION"],
    ["Production", "None"],
    ["Production", "Production"],
    ["Archived"],
    ["Staging"],
    ["bogus"],
    ["Production", "bogus"],
    [""],
    ["Deleted_Internal"],
    ["Production,None"],
]
LATEST_VERSIONS = scenario(
    "latest versions",
    a_model("Newest", 5),
    move("Newest", "2", "Production"),
    move("Newest", "4", "Production"),
    move("Newest", "1", "Archived"),
    post("registered-models/alias", name="Newest", alias="b", version="4"),
    post("registered-models/alias", name="Newest", alias="a", version="4"),
    post("registered-models/alias", name="Newest", alias="other", version="1"),
    [post(LATEST, f"POST {stages}", name="Newest", stages=stages) for stages in STAGE_LISTS],
    [get(LATEST, f"GET {stages}", name="Newest", stages=stages) for stages in STAGE_LISTS],
    get("registered-models/alias", "latest", name="Newest", alias="latest"),
    get("registered-models/alias", "LATEST", name="Newest", alias="LATEST"),
    delete("model-versions/delete", name="Newest", version="5"),
    delete("model-versions/delete", name="Newest", version="4"),
    get("registered-models/alias", "latest after deleting the newest", name="Newest", alias="latest"),
    post(LATEST, "after deleting the newest", name="Newest"),
    look("Newest"),
    post("registered-models/create", "without versions", name="Empty newest"),
    post(LATEST, "of no versions", name="Empty newest"),
    post(LATEST, "of no model", name="Nobody"),
    get(LATEST, "GET of no model", name="Nobody"),
    get("registered-models/alias", "latest of no versions", name="Empty newest", alias="latest"),
    get("registered-models/alias", "an alias of no versions", name="Empty newest", alias="a"),
)

DESCRIPTIONS = scenario(
    "descriptions",
    a_model("Described", 1, description="first"),
    post("model-versions/create", "described from the start", name="Described", source="s3://b/2", description="d"),
    look("Described", "1", "2"),
    patch("registered-models/update", name="Described", description="second"),
    patch("registered-models/update", name="Described"),
    patch("registered-models/update", name="Described", description="third"),
    patch("registered-models/update", name="Described", description=""),
    patch("registered-models/update", name="Described", description=None),
    patch("model-versions/update", name="Described", version="1", description="text"),
    look("Described", "1"),
    patch("model-versions/update", name="Described", version="1"),
    patch("model-versions/update", name="Described", version="1", description=""),
    patch("model-versions/update", name="Described", version="2", description=None),
    patch("model-versions/update", name="Described", version="2", description="ü\n🚀"),
    look("Described", "1", "2"),
    patch("registered-models/update", name="Nobody", description="d"),
    patch("model-versions/update", name="Nobody", version="1", description="d"),
    patch("model-versions/update", name="Described", version="9", description="d"),
)

TAGS = scenario(
    "tags",
    a_model("Tagged", 2),
    post("registered-models/set-tag", name="Tagged", key="a", value="1"),
    post("registered-models/set-tag", name="Tagged", key="a", value="2"),
    post("registered-models/set-tag", name="Tagged", key="b", value="3"),
    post("registered-models/set-tag", name="Tagged", key="A", value="4"),
    post("model-versions/set-tag", name="Tagged", version="1", key="a", value="1"),
    post("model-versions/set-tag", name="Tagged", version="1", key="a", value="2"),
    look("Tagged", "1", "2"),
    delete("registered-models/delete-tag", name="Tagged", key="a"),
    delete("registered-models/delete-tag", name="Tagged", key="a"),
    delete("registered-models/delete-tag", name="Tagged", key="never"),
    delete("model-versions/delete-tag", name="Tagged", version="1", key="a"),
    delete("model-versions/delete-tag", name="Tagged", version="1", key="a"),
    look("Tagged", "1"),
    delete("registered-models/delete-tag", name="Nobody", key="a"),
    post("registered-models/set-tag", name="Nobody", key="a", value="1"),
    post("model-versions/set-tag", name="Tagged", version="9", key="a", value="1"),
    post("model-versions/set-tag", name="Nobody", version="1", key="a", value="1"),
    delete("model-versions/delete-tag", name="Tagged", version="9", key="a"),
    delete("model-versions/delete-tag", name="Nobody", version="1", key="a"),
)

ALIASES = scenario(
    "aliases that move",
    a_model("Aliases", 2),
    post("registered-models/alias", name="Aliases", alias="champion", version="1"),
    post("registered-models/alias", name="Aliases", alias="backup", version="1"),
    post("registered-models/alias", name="Aliases", alias="Champion", version="2"),
    look("Aliases", "1", "2"),
    post("registered-models/alias", name="Aliases", alias="champion", version="2"),
    look("Aliases", "1", "2"),
    get("registered-models/alias", name="Aliases", alias="champion"),
    get("registered-models/alias", name="Aliases", alias="CHAMPION"),
    move("Aliases", "2", "Production"),
    patch("model-versions/update", "an update answers with aliases", name="Aliases", version="2", description="d"),
    get("model-versions/search", "a search without", filter="name = 'Aliases'"),
    delete("registered-models/alias", name="Aliases", alias="champion"),
    delete("registered-models/alias", name="Aliases", alias="champion"),
    get("registered-models/alias", name="Aliases", alias="champion"),
    delete("registered-models/alias", name="Aliases", alias="latest"),
    delete("registered-models/alias", name="Aliases", alias="v1"),
    delete("registered-models/alias", name="Nobody", alias="a"),
    get("registered-models/alias", name="Nobody", alias="a"),
    post("registered-models/alias", name="Nobody", alias="a", version="1"),
    delete("model-versions/delete", name="Aliases", version="1"),
    look("Aliases", "2"),
    get("registered-models/alias", "an alias of a deleted version", name="Aliases", alias="backup"),
    post("registered-models/alias", "an alias for a deleted version", name="Aliases", alias="a", version="1"),
)

RENAMING = scenario(
    "renaming",
    a_model("Before", 2, tags=[{"key": "k", "value": "v"}], description="d"),
    post("registered-models/alias", name="Before", alias="champion", version="1"),
    post("model-versions/set-tag", name="Before", version="1", key="k", value="v"),
    delete("model-versions/delete", name="Before", version="2"),
    a_model("Taken", 0),
    post("registered-models/rename", name="Before", new_name="After"),
    look("After", "1", "2"),
    look("Before", "1"),
    get("registered-models/alias", name="After", alias="champion"),
    post("model-versions/create", "the next number", name="After", source="s3://b/3"),
    post("registered-models/rename", "to itself", name="After", new_name="After"),
    look("After", "1"),
    post("registered-models/rename", "to a name that is taken", name="After", new_name="Taken"),
    post("registered-models/rename", "a model that is not there", name="Before", new_name="Elsewhere"),
    post("registered-models/rename", "not there, to a name that is taken", name="Before", new_name="Taken"),
    post("registered-models/rename", "to another letter case", name="After", new_name="AFTER"),
    look("AFTER"),
    get("model-versions/search", filter="name = 'AFTER'"),
)

DELETING_VERSIONS = scenario(
    "deleting versions",
    a_model("Shrinking", 3),
    post("model-versions/set-tag", name="Shrinking", version="3", key="k", value="v"),
    move("Shrinking", "3", "Production"),
    delete("model-versions/delete", name="Shrinking", version="3"),
    look("Shrinking", "3"),
    delete("model-versions/delete", name="Shrinking", version="3"),
    get("model-versions/get-download-uri", name="Shrinking", version="3"),
    patch("model-versions/update", name="Shrinking", version="3", description="d"),
    post("model-versions/set-tag", name="Shrinking", version="3", key="k", value="v"),
    delete("model-versions/delete-tag", name="Shrinking", version="3", key="k"),
    move("Shrinking", "3", "Staging"),
    get("model-versions/search", filter="name = 'Shrinking'"),
    get("model-versions/search", "by the tag of a deleted version", filter="tags.k = 'v'"),
    post("model-versions/create", "its number is not used again", name="Shrinking", source="s3://b/4"),
    delete("model-versions/delete", name="Shrinking", version="9"),
    delete("model-versions/delete", name="Nobody", version="1"),
    [delete("model-versions/delete", name="Shrinking", version=version) for version in ("1", "2", "4")],
    look("Shrinking"),
    post("model-versions/create", "all numbers are still used", name="Shrinking", source="s3://b/5"),
)

DELETING_MODELS = scenario(
    "deleting models",
    a_model("Doomed", 1),
    move("Doomed", "1", "Production"),
    post("registered-models/alias", name="Doomed", alias="champion", version="1"),
    post("registered-models/set-tag", name="Doomed", key="k", value="v"),
    delete("registered-models/delete", name="Doomed"),
    delete("registered-models/delete", name="Doomed"),
    look("Doomed", "1"),
    get("registered-models/alias", name="Doomed", alias="champion"),
    post("model-versions/create", "a version of a deleted model", name="Doomed", source="s3://b/1"),
    all_pages("model-versions/search", "no version is found", filter="name = 'Doomed'"),
    post("registered-models/create", "the name is free", name="Doomed"),
    look("Doomed"),
    post("model-versions/create", "the first version of a model made again", name="Doomed", source="s3://b/2"),
)

DUPLICATES = scenario(
    "names that are taken",
    post("registered-models/create", name="Twice"),
    post("registered-models/create", name="Twice"),
    post("registered-models/create", name="TWICE"),
    post("registered-models/create", name="Twice "),
)

SCENARIOS = [
    STAGES,
    LATEST_VERSIONS,
    DESCRIPTIONS,
    TAGS,
    ALIASES,
    RENAMING,
    DELETING_VERSIONS,
    DELETING_MODELS,
    DUPLICATES,
]
