"""Every route once, with all that it takes; its other prefixes and verbs; what there is besides."""

from tests.mlflow.differential.requests import PREFIX, Step, delete, get, patch, post, raw, scenario

PROBE = "Routes"

ROUTES = scenario(
    "every route once",
    post(
        "registered-models/create",
        name=PROBE,
        description="d",
        tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}],
        deployment_job_id="ignored",
    ),
    post(
        "model-versions/create",
        name=PROBE,
        source="s3://bucket/path/model",
        run_id="0123456789abcdef0123456789abcdef",
        tags=[{"key": "k", "value": "v"}],
        run_link="http://x/y",
        description="first",
    ),
    post("model-versions/create", name=PROBE, source="s3://bucket/other"),
    get("model-versions/get", name=PROBE, version="1"),
    get("model-versions/get", name=PROBE, version="2"),
    patch("model-versions/update", name=PROBE, version="1", description="second"),
    post("model-versions/set-tag", name=PROBE, version="1", key="team", value="risk"),
    delete("model-versions/delete-tag", name=PROBE, version="1", key="k"),
    post("model-versions/transition-stage", name=PROBE, version="1", stage="Production"),
    post(
        "model-versions/transition-stage",
        name=PROBE,
        version="2",
        stage="production",
        archive_existing_versions=True,
    ),
    get("model-versions/get-download-uri", name=PROBE, version="1"),
    get("model-versions/search", filter=f"name = '{PROBE}'"),
    post("registered-models/alias", name=PROBE, alias="champion", version="2"),
    get("registered-models/alias", name=PROBE, alias="champion"),
    post("registered-models/set-tag", name=PROBE, key="team", value="risk"),
    delete("registered-models/delete-tag", name=PROBE, key="a"),
    patch("registered-models/update", name=PROBE, description="new"),
    get("registered-models/get", name=PROBE),
    get("registered-models/search"),
    post("registered-models/get-latest-versions", name=PROBE),
    get("registered-models/get-latest-versions", name=PROBE),
    delete("registered-models/alias", name=PROBE, alias="champion"),
    post("registered-models/rename", name=PROBE, new_name="Renamed routes"),
    delete("model-versions/delete", name="Renamed routes", version="1"),
    get("registered-models/get", name="Renamed routes"),
    delete("registered-models/delete", name="Renamed routes"),
    get("registered-models/get", name="Renamed routes"),
)

VERBS_AND_PATHS = [
    ("POST", "registered-models/create"),
    ("POST", "registered-models/rename"),
    ("PATCH", "registered-models/update"),
    ("DELETE", "registered-models/delete"),
    ("GET", "registered-models/get"),
    ("GET", "registered-models/search"),
    ("POST", "registered-models/get-latest-versions"),
    ("GET", "registered-models/get-latest-versions"),
    ("POST", "registered-models/set-tag"),
    ("DELETE", "registered-models/delete-tag"),
    ("POST", "registered-models/alias"),
    ("DELETE", "registered-models/alias"),
    ("GET", "registered-models/alias"),
    ("POST", "model-versions/create"),
    ("PATCH", "model-versions/update"),
    ("POST", "model-versions/transition-stage"),
    ("DELETE", "model-versions/delete"),
    ("GET", "model-versions/get"),
    ("GET", "model-versions/search"),
    ("GET", "model-versions/get-download-uri"),
    ("POST", "model-versions/set-tag"),
    ("DELETE", "model-versions/delete-tag"),
]


def at(verb: str, path: str) -> Step:
    """A request without input: it shows whether the route is there, and what it asks for first."""
    return raw(verb, path, f"{verb} {path}")


OTHER_PREFIX = scenario(
    "the prefix of mlflow's pages", [at(verb, f"/ajax-api/2.0/mlflow/{path}") for verb, path in VERBS_AND_PATHS]
)

NOT_THERE = scenario(
    "what is not there",
    [at(verb, f"{PREFIX}{path}/") for verb, path in VERBS_AND_PATHS[:6]],
    [at("PUT", f"{PREFIX}{path}") for _, path in VERBS_AND_PATHS[:4]],
    [
        at("GET", f"{PREFIX}registered-models/create"),
        at("POST", f"{PREFIX}registered-models/get"),
        at("POST", f"{PREFIX}model-versions/delete"),
        at("GET", f"{PREFIX}registered-models/list"),
        at("GET", f"{PREFIX}registered-models/nope"),
        at("POST", f"{PREFIX}nope"),
        at("GET", "/api/2.0/preview/mlflow/registered-models/search"),
        at("GET", "/api/3.0/mlflow/registered-models/search"),
        at("POST", "/ajax-api/3.0/mlflow/registered-models/create"),
        at("GET", "/api/2.0/mlflow"),
    ],
)

BESIDES = scenario(
    "besides the registry",
    at("GET", "/health"),
    at("GET", "/api/3.0/mlflow/server-info"),
    at("GET", "/ajax-api/3.0/mlflow/server-info"),
    at("GET", "/api/3.0/mlflow/server-features"),
    at("GET", f"{PREFIX}webhooks"),
    at("POST", f"{PREFIX}webhooks"),
    raw("GET", "registered-models/search", "a blank workspace", headers={"X-MLFLOW-WORKSPACE": " "}),
    raw("GET", "registered-models/search", "a workspace", headers={"X-MLFLOW-WORKSPACE": "team-a"}),
)

SCENARIOS = [ROUTES, OTHER_PREFIX, NOT_THERE, BESIDES]
