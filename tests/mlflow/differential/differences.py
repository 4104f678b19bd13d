"""Where we answer otherwise than mlflow on purpose, and why.

Each entry names its cases by patterns (`*` stands for anything) of "scenario: label", and says what either side
answers: as a line (`400 INVALID_PARAMETER_VALUE text`, `200 {...}`), again with `*`, or as the fields that differ while
all others agree. A case that differs and is not listed fails; so does a listed case that does not differ as it is
written here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.mlflow.differential.comparing import ABSENT, Told, unlike


@dataclass(frozen=True)
class Difference:
    """One reason to answer otherwise. `fields`: path → (mlflow's value, ours), texts with `*`."""

    because: str
    cases: tuple[str, ...]
    theirs: str = "*"
    ours: str = "*"
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    def covers(self, case: str) -> bool:
        """Whether this entry speaks of a case."""
        return any(fits(pattern, case) for pattern in self.cases)

    def holds(self, theirs: Told, ours: Told) -> bool:
        """Whether the answers differ as this entry says."""
        found = unlike(theirs, ours)
        if not self.fields:
            return bool(found) and fits(self.theirs, theirs.line()) and fits(self.ours, ours.line())
        return found.keys() == self.fields.keys() and all(
            fits_value(expected, actual)
            for path, pair in self.fields.items()
            for expected, actual in zip(pair, found[path], strict=True)
        )


def fits(pattern: str, text: str) -> bool:
    """Whether a text is what a pattern says; only `*` is special, since brackets are common in answers."""
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), text, re.DOTALL) is not None


def fits_value(expected: Any, actual: Any) -> bool:
    """Whether a value is the expected one; of texts, whether they fit."""
    if isinstance(expected, str) and isinstance(actual, str):
        return fits(expected, actual)
    return repr(expected) == repr(actual)


IPV = "400 INVALID_PARAMETER_VALUE "
RDNE = "404 RESOURCE_DOES_NOT_EXIST "
SERVER_INFO = ("presigned_upload_run_id_supported", "presigned_upload_model_id_supported", "features_enabled.gateway")

SURFACE = [
    Difference(
        "a URL that nobody knows is refused as JSON, so that clients show a code and not a page",
        ("what is not there: *",),
        theirs="40* an HTML page",
        ours="40* ENDPOINT_NOT_FOUND *",
    ),
    Difference(
        "the same for the older way to ask for capabilities, which no server here has",
        ("besides the registry: GET /api/3.0/mlflow/server-features",),
        theirs="404 an HTML page",
        ours="404 ENDPOINT_NOT_FOUND *",
    ),
    Difference(
        "there are no webhooks here: a route that is not there is said to be so",
        ("besides the registry: * /api/2.0/mlflow/webhooks",),
        ours="404 ENDPOINT_NOT_FOUND *",
    ),
    Difference(
        "server-info has no line for what only a tracking server can do",
        ("besides the registry: GET */server-info",),
        fields=dict.fromkeys(SERVER_INFO, (True, ABSENT)),
    ),
    Difference(
        "a workspace that does not exist is a mistake of the caller's: a 500 would be repeated for minutes",
        ("besides the registry: a workspace",),
        fields={
            "status": (500, 400),
            "sqlstate": ("KAM00", ABSENT),
            "error_class": ("FEATURE_DISABLED", ABSENT),
        },
    ),
]

INPUT = [
    Difference(
        "mlflow fails on a body that is JSON but no object",
        tuple(
            f"bodies: * {kind}"
            for kind in ("JSON in a string in a string", "a list", "a list of objects", "a number", "true")
        ),
        theirs="500 an HTML page",
        ours=IPV + "The body must be a JSON object*",
    ),
    Difference(
        "mlflow fails on a string that holds no JSON; here it is a body that cannot be read, hence an empty one",
        ("bodies: * a plain string", "bodies: * an empty string"),
        theirs="500 an HTML page",
        ours=IPV + "Missing value for required parameter 'name'.*",
    ),
    Difference(
        "a size is a whole number; mlflow takes the truth for one, cuts a fraction off, and fails on a list",
        (
            "where input is read: GET: true for a size in the body",
            "where input is read: GET: a fraction for a size in the body",
            "where input is read: GET: a list for a size in the body",
        ),
        ours=IPV + "Invalid value * for parameter 'max_results' supplied:  Hint: *",
    ),
    Difference(
        "mlflow reads a version that is no text as an empty one; here it is named as it was sent",
        ("where input is read: GET model-versions/get-download-uri: a version that is no text in the body",),
        theirs=IPV + "Parameter 'version' must be an integer, got ''.",
        ours=IPV + "Invalid value 1 for parameter 'version' supplied:  Hint: *",
    ),
    Difference(
        "mlflow keeps an empty text where a tag's value is no text",
        ("wrong types: tags of a *: with a number as value", "wrong types: tags of a *: with true as value"),
        theirs="200 *",
        ours=IPV + "Invalid value * for parameter 'tags' supplied:  Hint: Value was of type 'dict'.*",
    ),
    Difference(
        "mlflow reads what is no tag as one with an empty key and refuses that; here it is named as it was sent",
        tuple(
            f"wrong types: tags of a *: {kind}" for kind in ("of texts", "of null", "of lists", "with a number as key")
        ),
        theirs=IPV + "Invalid value \"\" for parameter 'key' supplied:*",
        ours=IPV + "Invalid value * for parameter 'tags' supplied:  Hint:*",
    ),
]

TEXTS = [
    Difference(
        "mlflow shows the SQL statement when a text is too long for its column",
        ("names of models: create 'x' x 257", "new names of models: rename to 'x' x 257"),
        theirs="400 BAD_REQUEST (SQL)",
        ours=IPV + "'name' exceeds the maximum length of 256 characters",
    ),
    Difference(
        "the same for descriptions",
        ("long texts: *description of* 5001",),
        theirs="400 BAD_REQUEST (SQL)",
        ours=IPV + "'description' exceeds the maximum length of 5000 characters",
    ),
    Difference(
        "mlflow's columns for these are narrower than what object stores and other trackers send",
        ("long texts: source of 501", "long texts: run_id of 33", "long texts: run_link of 501"),
        theirs="400 BAD_REQUEST (SQL)",
        ours="200 *",
    ),
    Difference(
        "ours end as well, with a text that says where",
        ("long texts: source of 2001", "long texts: run_id of 65", "long texts: run_link of 2001"),
        theirs="400 BAD_REQUEST (SQL)",
        ours=IPV + "'*' exceeds the maximum length of * characters",
    ),
    Difference(
        "mlflow's validator promises 100000 characters for the tag of a model, its column holds 5000",
        ("values of tags: value 'v' x 5001", "values of tags: value 'v' x 100000"),
        theirs="400 BAD_REQUEST (SQL)",
        ours="200 {}",
    ),
    Difference(
        "and so the tag is there",
        ("values of tags: with 'v' x 5001", "values of tags: with 'v' x 100000"),
        fields={
            "registered_model.tags[0].key": (ABSENT, "k"),
            "registered_model.tags[0].value": (ABSENT, "vvv*"),
        },
    ),
    Difference(
        "PostgreSQL keeps no NUL; mlflow fails on it wherever it does not refuse it for something else",
        (
            "names of models: *nul\\x00character'",
            "new names of models: rename to 'nul\\x00'",
            "keys of tags: *nul\\x00'*",
            "values of tags: value 'nul\\x00'*",
            "aliases: *nul\\x00'",
            "NUL characters: NUL in a*",
        ),
        ours=IPV + "'*' must not contain the NUL character.",
    ),
    Difference(
        "half a surrogate pair is no character; mlflow takes the whole parameter for missing",
        ("names of models: create 'half a pair *",),
        theirs=IPV + "Missing value for required parameter 'name'.",
        ours=IPV + "'name' is not valid Unicode text.",
    ),
    Difference(
        "a line end after a key slips through mlflow 3.17; 3.18 refuses it too",
        ("keys of tags: * 'line end\\n'*",),
        theirs="200 {}",
        ours=IPV + "Invalid value *",
    ),
    Difference(
        "underscores between digits are Python's spelling of numbers, not the wire's",
        ("version numbers: * '1_0'",),
        theirs=RDNE + "Model Version (name=Numbered, version=10) not found",
        ours=IPV + "Parameter 'version' must be an integer, got '1_0'.",
    ),
    Difference(
        "mlflow shows the SQL statement when a version is no number and others are to be archived",
        ("version numbers: move version abc, archiving",),
        theirs="400 BAD_REQUEST (SQL)",
        ours=IPV + "Parameter 'version' must be an integer, got 'abc'.",
    ),
]

LOCAL_PATHS = ("/tmp/model", "relative/path", "word", "~", " ", "file:/*", "C:*", "\\\\*")
LOCAL = IPV + "Invalid model version source: *. Local paths are not accepted here*"
TRAVERSAL = IPV + "Invalid model version source: *absolute path must be provided without relative path references*"
SOURCES = [
    Difference(
        "mlflow's way to allow a host is an environment variable of its own",
        ("sources on hosts: register *",),
        theirs=IPV + "'source' cannot use the * scheme: the * scheme addresses a host other than *",
        ours=IPV + "'source' cannot use the * scheme: the * scheme addresses a host other than *REGISTRY_SOURCE_HOSTS.",
    ),
    Difference(
        "local paths need a setting, not a run: a registry apart from the tracking server knows no runs",
        (
            *(f"sources on the local machine: register {path}" for path in LOCAL_PATHS),
            "sources that are logged models: register /tmp/model, run_id R",
            "which fault comes first: unknown model, bad source",
            "which fault comes first: bad name, bad source",
            "sources of prompts: prompt version: is_prompt false",
            "sources of prompts: no tag, a placeholder",
        ),
        ours=LOCAL,
    ),
    Difference(
        "paths that lead elsewhere are refused as such, before it matters that they are local",
        tuple(f"sources on the local machine: register {path}" for path in ("/", "./x", "../x", "file:relative")),
        theirs=IPV + "Invalid model version source: *To use a local path*",
        ours=TRAVERSAL,
    ),
    Difference(
        "any scheme that names no host to connect to is taken; mlflow stumbles over the plus sign",
        ("sources in object stores: register custom+scheme*",),
        theirs=TRAVERSAL,
        ours="200 *",
    ),
    Difference(
        "a consumer on Windows reads the backslash as a separator, so it counts as one",
        ("sources in object stores: register s3://bucket/a\\..\\b",),
        theirs="200 *",
        ours=TRAVERSAL,
    ),
    Difference(
        "a registry apart from the tracking server takes artifacts, runs and logged models at their word",
        (
            "sources in mlflow's artifacts: register mlflow-artifacts:/1/R/artifacts/model",
            "sources in mlflow's artifacts: register mlflow-artifacts:/1/models/*",
            "sources that are logged models: register mlflow-artifacts:*",
            "sources called models: register models:/m-L",
            "sources that are runs: register runs:/R/model",
            "sources that are runs: register runs:/R/model, run_id empty",
            "sources that are logged models: register models:/m-L, run_id R",
        ),
        theirs=IPV + "Invalid model version source: *. The *_id request parameter must identify *",
        ours="200 *",
    ),
    Difference(
        "mlflow answers 500, which clients repeat for minutes, where its own tracking store lacks the logged model",
        (
            "sources that are logged models: register models:/m-L, model_id m-L",
            "sources that are logged models: register models:/m-L, model_id m-L, run_id R",
        ),
        theirs="500 INTERNAL_ERROR Unable to fetch model from model URI source *",
        ours="200 *",
    ),
    Difference(
        "mlflow answers 404 for the logged model of another store, and keeps the version all the same",
        ("sources that are logged models: register s3:*",),
        theirs=RDNE + "Logged model with ID * not found.",
        ours="200 *",
    ),
    Difference(
        "what only we take only we have",
        (
            "sources in object stores: where is custom+scheme*",
            "sources in mlflow's artifacts: where is mlflow-artifacts:/1/R/artifacts/model",
            "sources in mlflow's artifacts: where is mlflow-artifacts:/1/models/*",
            "sources called models: where is models:/m-L",
        ),
        theirs=RDNE + "Model Version *",
        ours='200 {"artifact_uri": *}',
    ),
    Difference(
        "what only mlflow takes only mlflow has",
        ("sources in object stores: where is s3://bucket/a\\..\\b",),
        theirs='200 {"artifact_uri": *}',
        ours=RDNE + "Model Version *",
    ),
    Difference(
        "a stage without a version is not there, no fault of the server's",
        ("sources that are registered versions: register models:/Origin/Staging",),
        theirs="500 INTERNAL_ERROR No versions of model with name 'Origin' and stage 'Staging' found",
        ours=RDNE + "No versions of model with name 'Origin' and stage 'Staging' found",
    ),
    Difference(
        "the same for the latest version of none",
        ("sources that are registered versions: register models:/Nothing/latest",),
        theirs="500 INTERNAL_ERROR No versions of model with name 'Nothing' found",
        ours=RDNE + "*",
    ),
]

SEVERAL_FAULTS = [
    Difference(
        "of several faults in one request we name first what the request alone shows, before we look at the registry",
        ("which fault comes first: unknown model, bad stage",),
        theirs=RDNE + "Registered Model with name=nope not found",
        ours=IPV + "Invalid Model Version stage: bogus. *",
    ),
    Difference(
        "the same: the part behind the slash is read before the model is looked for",
        ("sources that are registered versions: register models:/Origin@champion/sub",),
        theirs=RDNE + "Registered Model with name=Origin@champion not found",
        ours=IPV + "Invalid Model Version stage: sub. *",
    ),
    Difference(
        "version numbers are read with the other fields, before the rules of aliases are asked",
        ("which fault comes first: bad alias, bad version",),
        theirs=IPV + "Invalid alias name: 'a b'. *",
        ours=IPV + "Parameter 'version' must be an integer, got 'x'.",
    ),
    Difference(
        "texts and tags are checked before the source, for which the registry may have to look up another version",
        ("which fault comes first: bad source, bad tag",),
        theirs=IPV + "Invalid model version source: *",
        ours=IPV + "Invalid value \"*\" for parameter 'key' supplied: *",
    ),
]

LIFECYCLE = [
    Difference(
        "archiving where there is nothing to archive is a mistake of the caller's: a 500 would be repeated for minutes",
        ("stages: Staged 1 to *, archiving True", "which fault comes first: unknown version, archiving *"),
        theirs="500 INTERNAL_ERROR Model version transition cannot archive existing model versions because *",
        ours=IPV + "Model version transition cannot archive existing model versions because *",
    ),
    Difference(
        "mlflow shows the SQL statement when a new name is taken",
        ("renaming: to a name that is taken", "names of models and prompts: a * to a *'s name"),
        fields={
            "message": (
                "Registered Model (name=*) already exists. Error: (SQL)",
                "Registered Model (name=*) already exists.",
            )
        },
    ),
    Difference(
        "a number is never used twice, also not by a model made again under the name of a deleted one",
        ("deleting models: the first version of a model made again",),
        fields={"model_version.version": ("1", "2")},
    ),
]

NONSENSE = (
    "searches: models: filter timestamp > 0",
    "searches: models: filter tags.with space = 'yes'",
    "searches: models: filter name = true",
    "searches: models: filter name = 'churn' ORDER BY name",
    "searches: models: filter lower(name) = 'churn'",
    "searches: models: filter name = lower('churn')",
    "searches: models: filter name = 'a' || 'b'",
    "searches: models: filter name + 'a' = 'b'",
    "searches: versions: filter source = *",
    "searches: versions: filter version = '1'",
    "searches: versions: order ['version']",
    "searches for prompts: *s: tags.`mlflow.prompt.is_prompt` = true",
)
SEARCHES = [
    Difference(
        "mlflow cuts filters up as SQL, with its keywords and functions; both refuse these, in other words",
        NONSENSE,
        theirs=IPV + "*",
        ours=IPV + "*",
    ),
    Difference(
        "mlflow fails on these filters",
        (
            "searches: *s: filter *_id IS NOT NULL",
            "searches: *s: filter name IS NULL",
            "searches: *s: filter name IS NOT NULL",
            "searches: models: filter name IN (churn)",
            "searches: models: filter name IN (NULL)",
            "searches: versions: filter run_id IN (aaaa*)",
        ),
        theirs="500 an HTML page",
        ours=IPV + "*",
    ),
    Difference(
        "spaces around an order are as harmless as those inside it",
        ("searches: models: order [' name ']",),
        theirs=IPV + "Invalid order_by clause ' name '. Could not be parsed.",
        ours="200 *",
    ),
    Difference(
        "parentheses make a list, and a list goes with IN",
        ("searches: models: filter name = ('churn')",),
        theirs="200 *",
        ours=IPV + "Invalid comparator for a list of values: =. Use IN or NOT IN.",
    ),
    Difference(
        "mlflow shows the SQL statement for a pattern that ends in the middle of an escape",
        ("searches: models: filter name LIKE '%\\'",),
        theirs="400 BAD_REQUEST (SQL)",
        ours=IPV + "The pattern '%\\' must not end with a single backslash*",
    ),
    Difference(
        "mlflow names two attributes that it then refuses as well",
        ("searches: versions: filter run_id = 5",),
        theirs=IPV + "Only the '{'creation_timestamp', 'last_updated_timestamp', 'version_number'}' attributes *",
        ours=IPV + "Only the '{'version_number'}' attributes support comparison with numeric values.",
    ),
    Difference(
        "no version has such a number, and a comparison with it would read the whole table",
        ("searches: versions: filter version_number < 99999999999999999999999",),
        theirs="200 *",
        ours=IPV + "Invalid value for numeric attribute 'version_number': 99999999999999999999999",
    ),
    Difference(
        "the same field twice in an order is a mistake of the caller's: a 500 would be repeated for minutes",
        (
            "searches: models: order ['name', 'name']",
            "searches: models: order ['name ASC', 'name DESC']",
            "searches: models: order ['timestamp', 'last_updated_timestamp']",
            "searches: versions: order ['name', 'name DESC']",
            "searches: versions: order ['version_number', 'version_number']",
        ),
        fields={
            "status": (500, 400),
            "error_code": ("INTERNAL_ERROR", "INVALID_PARAMETER_VALUE"),
            "sqlstate": ("XXM00", "KAM00"),
            "error_class": ("CLIENT_INTERNAL_ERROR", "INVALID_PARAMETER_VALUE"),
        },
    ),
    Difference(
        "mlflow answers with no rows and a token that it does not take back",
        ("searches: models: '0' results", "searches: models: '-1' results"),
        theirs='200 {"next_page_token": "a token"}',
        ours=IPV + "Invalid value for max_results. It must be a positive integer, but got *",
    ),
    Difference(
        "mlflow fails on numbers with a point or an exponent",
        ("searches: *s: '5.0' results", "searches: *s: '1e2' results"),
        theirs="500 an HTML page",
        ours=IPV + "Invalid value * for parameter 'max_results' supplied:  Hint: *",
    ),
    Difference(
        "a size is written in plain digits",
        ("searches: models: ' 5' results", "searches: models: '+5' results"),
        theirs="200 *",
        ours=IPV + "Invalid value * for parameter 'max_results' supplied:  Hint: *",
    ),
    Difference(
        "our tokens say where a page ended, not how many rows to skip: those of mlflow's make mean nothing here",
        tuple(
            f"searches: *s: token: {kind}"
            for kind in ("no *", "an empty object", "offset*", "a list", "a number", "null")
        ),
        ours=IPV + "Invalid page token*",
    ),
    Difference(
        "a version's tag makes no prompt of its model: in mlflow it hides the other versions, for good",
        ("a version tagged as a prompt: after *",),
        theirs="200 {}",
        ours='200 {"model_versions": *"name": "half"*',
    ),
]

DIFFERENCES: list[Difference] = [*SURFACE, *INPUT, *TEXTS, *SOURCES, *SEVERAL_FAULTS, *LIFECYCLE, *SEARCHES]
