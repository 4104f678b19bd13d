"""Sources of model versions. Each gets a model of its own: where only one side refuses, numbers would drift apart."""

from collections.abc import Iterator, Mapping

from tests.mlflow.differential.requests import Step, delete, get, post, scenario

RUN = "0123456789abcdef0123456789abcdef"
OTHER_RUN = "f" * 32
LOGGED = "m-0123456789abcdef0123456789abcdef"
OTHER_LOGGED = "m-" + "f" * 32

Asked = Mapping[str, str]

OBJECT_STORES = [
    "s3://bucket/path/model",
    "s3://bucket/path/model/",
    "s3://bucket//path//model",
    "S3://Bucket/Path",
    "gs://bucket/path",
    "wasbs://container@account.blob.core.windows.net/path",
    "dbfs:/path/model",
    "custom://host/path",
    "custom+scheme://host/path",
    "s3://bucket/a b/c",
    "s3://bucket/größe",
    "s3://bucket/a%20b",
    "s3://bucket/path?versionId=1",
    "s3://bucket/path#fragment",
    "s3://bucket",
    "s3://bucket/",
    "s3:///path",
    "s3:path",
    "s3://bucket/../path",
    "s3://bucket/a/../b",
    "s3://bucket/./a",
    "s3://bucket/a/..",
    "s3://bucket/%2e%2e/path",
    "s3://bucket/%252e%252e/path",
    "s3://bucket/a%2f..%2fb",
    "s3://bucket/..a",
    "s3://bucket/a...b",
    "s3://bucket/a%00b",
    "s3://bucket/a\\..\\b",
]
HOSTS = [
    "http://host/path",
    "https://host/path",
    "HTTPS://host/path",
    "ftp://host/path",
    "sftp://host/path",
    "hdfs://host/path",
    "viewfs://host/path",
    "r2://bucket/path",
    "b2://bucket/path",
    "abfss://container@account.dfs.core.windows.net/path",
    "mlflow-artifacts://host/path",
    "mlflow-artifacts://host:5000/path",
]
LOCAL = [
    "/tmp/model",
    "/",
    "relative/path",
    "word",
    "./x",
    "../x",
    "~",
    " ",
    "file:///tmp/model",
    "file:/tmp/model",
    "file://localhost/tmp/model",
    "file://other/tmp/model",
    "file:relative",
    "C:\\models\\m",
    "\\\\host\\share",
]
ARTIFACTS = [
    f"mlflow-artifacts:/1/{RUN}/artifacts/model",
    f"mlflow-artifacts:/1/models/{LOGGED}/artifacts",
    "mlflow-artifacts:/../x",
    "mlflow-artifacts:/1/%2e%2e/x",
    "mlflow-artifacts:/",
    "mlflow-artifacts:",
]
MODELS = [
    f"models:/{LOGGED}",
    "models:/m-short",
    "models:/word",
    "models:/",
    "models:",
    "models:/a/b/c",
    "models://host/Origin/1",
    "models:///Origin/1",
    "models:Origin/1",
]


def said(source: str, more: Asked) -> str:
    """A source and what is said about it, for labels."""
    words = {RUN: "R", OTHER_RUN: "another", LOGGED: "m-L", OTHER_LOGGED: "another", "": "empty"}
    for long, short in ((LOGGED, "m-L"), (RUN, "R")):
        source = source.replace(long, short)
    return source + "".join(f", {field} {words.get(value, value)}" for field, value in more.items())


def with_each(sources: list[str], word: str, **more: str) -> Iterator[Step]:
    """Register each source for a model of its own and ask where its files are."""
    for number, source in enumerate(sources):
        model = f"{word} {number}"
        label = said(source, more)
        yield post("registered-models/create", f"a model for {label}", name=model)
        yield post("model-versions/create", f"register {label}", name=model, source=source, **more)
        yield get("model-versions/get-download-uri", f"where is {label}", name=model, version="1")


RUNS: list[tuple[str, Asked]] = [
    (f"runs:/{RUN}/model", {}),
    (f"runs:/{RUN}/model", {"run_id": ""}),
    (f"runs:/{RUN}/model", {"run_id": RUN}),
    (f"runs:/{RUN}/model", {"run_id": OTHER_RUN}),
    (f"runs:/{RUN}/model", {"run_id": RUN, "model_id": LOGGED}),
    (f"runs:/{RUN}", {"run_id": RUN}),
    (f"runs:/{RUN}/../x", {"run_id": RUN}),
    (f"runs:/{RUN}/a/../b", {"run_id": RUN}),
    (f"runs://{RUN}/model", {"run_id": RUN}),
    ("runs:/", {}),
    ("runs:/x", {"run_id": "x"}),
]
LOGGED_MODELS: list[tuple[str, Asked]] = [
    (f"models:/{LOGGED}", {"model_id": LOGGED}),
    (f"models:/{LOGGED}", {"model_id": LOGGED, "run_id": RUN}),
    (f"models:/{LOGGED}", {"model_id": OTHER_LOGGED}),
    (f"models:/{LOGGED}", {"run_id": RUN}),
    ("s3://bucket/path", {"model_id": LOGGED}),
    ("s3://bucket/path", {"model_id": LOGGED, "run_id": RUN}),
    ("/tmp/model", {"run_id": RUN}),
    (f"mlflow-artifacts:/1/{RUN}/artifacts/model", {"run_id": RUN}),
    (f"mlflow-artifacts:/1/models/{LOGGED}/artifacts", {"model_id": LOGGED}),
]


def registered_each(cases: list[tuple[str, Asked]], word: str) -> Iterator[Step]:
    """Register each source with what is said about it."""
    for number, (source, more) in enumerate(cases):
        label = said(source, more)
        yield post("registered-models/create", f"a model for {label}", name=f"{word} {number}")
        yield post("model-versions/create", f"register {label}", name=f"{word} {number}", source=source, **more)


def copied(number: int, source: str, **more: str) -> list[Step]:
    """A version made from another registered one."""
    name = f"Copy {number}"
    label = said(source, more)
    return [
        post("registered-models/create", f"a model for {label}", name=name),
        post("model-versions/create", f"register {label}", name=name, source=source, **more),
        get("model-versions/get-download-uri", f"where is {label}", name=name, version="1"),
    ]


COPIES = scenario(
    "sources that are registered versions",
    post("registered-models/create", name="Origin"),
    post("model-versions/create", name="Origin", source="s3://bucket/one", run_id=RUN),
    post("model-versions/create", name="Origin", source="s3://bucket/two"),
    post("registered-models/create", "a model without versions", name="Nothing"),
    post(
        "registered-models/create",
        "a prompt",
        name="Prompt",
        tags=[{"key": "mlflow.prompt.is_prompt", "value": "true"}],
    ),
    post(
        "model-versions/create",
        "a version of a prompt",
        name="Prompt",
        source="dummy-source",
        tags=[{"key": "mlflow.prompt.is_prompt", "value": "true"}, {"key": "mlflow.prompt.text", "value": "hi"}],
    ),
    post("model-versions/transition-stage", name="Origin", version="1", stage="Production"),
    post("registered-models/alias", name="Origin", alias="champion", version="2"),
    copied(1, "models:/Origin/1"),
    copied(2, "models:/Origin/1", run_id=RUN),
    copied(3, "models:/Origin/1", run_id=OTHER_RUN),
    copied(4, "models:/Origin/1", run_id=""),
    copied(5, "models:/Origin/2", run_id=""),
    copied(6, "models:/Origin/Production"),
    copied(7, "models:/Origin/production"),
    copied(8, "models:/Origin/latest"),
    copied(9, "models:/Origin@champion"),
    copied(10, "models:/Origin@latest"),
    copied(11, "models:/Copy 1/1"),
    copied(12, "models:/Origin/01"),
    copied(13, "models:/Origin/1", model_id=LOGGED),
    copied(14, "models:/Origin/9"),
    copied(15, "models:/Nowhere/1"),
    copied(16, "models:/Nowhere@a"),
    copied(17, "models:/Nowhere/latest"),
    copied(18, "models:/Origin@nope"),
    copied(19, "models:/Origin/Staging"),
    copied(20, "models:/Origin/bogus"),
    copied(21, "models:/Nothing/latest"),
    copied(22, "models:/Prompt/1"),
    copied(23, "models:/Origin/1/sub"),
    copied(24, "models:/Origin@champion/sub"),
    copied(25, "models:/Origin/1 "),
    copied(26, "models:/Copy 26/1"),
    post("registered-models/rename", name="Origin", new_name="Origin 2"),
    delete("registered-models/delete", name="Origin 2"),
    get("model-versions/get", "a copy stays when the original is gone", name="Copy 1", version="1"),
    get("model-versions/get-download-uri", "where its files are too", name="Copy 1", version="1"),
    get("model-versions/get-download-uri", "also those of a copy of a copy", name="Copy 11", version="1"),
)

SCENARIOS = [
    scenario(
        "sources in object stores", with_each(OBJECT_STORES, "Store"), with_each(OBJECT_STORES[:2], "Run", run_id=RUN)
    ),
    scenario("sources on hosts", with_each(HOSTS, "Host")),
    scenario("sources on the local machine", with_each(LOCAL, "Local")),
    scenario("sources in mlflow's artifacts", with_each(ARTIFACTS, "Artifacts")),
    scenario(
        "sources called models",
        post("registered-models/create", name="Origin of models"),
        with_each(MODELS, "Models"),
    ),
    scenario("sources that are runs", registered_each(RUNS, "Of a run")),
    scenario("sources that are logged models", registered_each(LOGGED_MODELS, "Logged")),
    COPIES,
]
