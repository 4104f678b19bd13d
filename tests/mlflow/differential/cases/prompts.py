"""Prompts: registered models with conventional tags, kept apart from models by names, sources and searches."""

from tests.mlflow.differential.requests import Step, all_pages, delete, get, post, scenario

MODELS = "registered-models/search"
VERSIONS = "model-versions/search"
IS_PROMPT = "mlflow.prompt.is_prompt"
PROMPT = [{"key": IS_PROMPT, "value": "true"}]
TEXT = [
    *PROMPT,
    {"key": "mlflow.prompt.text", "value": "Hello {{name}}"},
    {"key": "_mlflow_prompt_type", "value": "text"},
]


def tag(key: str, value: str) -> dict[str, str]:
    return {"key": key, "value": value}


def prompt(name: str, *tags: dict[str, str]) -> Step:
    """A prompt without versions."""
    return post("registered-models/create", f"prompt {name}", name=name, tags=[*PROMPT, *tags])


def model(label: str, name: str, *tags: dict[str, str]) -> Step:
    """A model without versions, with tags that may say something about prompts."""
    return post("registered-models/create", label, name=name, tags=list(tags))


def model_version(name: str, *tags: dict[str, str]) -> Step:
    return post("model-versions/create", f"version of {name}", name=name, source="s3://b/1", tags=list(tags))


def prompt_version(name: str, label: str, source: str, tags: list[dict[str, str]]) -> Step:
    return post("model-versions/create", f"prompt version: {label}", name=name, source=source, tags=tags)


CLASHES = scenario(
    "names of models and prompts",
    prompt("greeting"),
    prompt("greeting"),
    post("registered-models/create", "a model named like a prompt", name="greeting"),
    post("registered-models/create", "a plain model", name="plain"),
    prompt("plain"),
    model("a prompt of the value TRUE", "loud", tag(IS_PROMPT, "TRUE")),
    post("registered-models/create", "a model named like it", name="loud"),
    model("a prompt of the value false", "no", tag(IS_PROMPT, "false")),
    post("registered-models/create", "a model named like that", name="no"),
    post("registered-models/create", "a prompt named like that", name="no", tags=PROMPT),
    get("registered-models/get", name="greeting"),
    post("registered-models/rename", "a prompt to a model's name", name="greeting", new_name="plain"),
    post("registered-models/rename", "a model to a prompt's name", name="plain", new_name="greeting"),
    post("registered-models/rename", "a prompt to a free name", name="greeting", new_name="welcome"),
)

SOURCES = scenario(
    "sources of prompts",
    prompt("sourced"),
    prompt_version("sourced", "dummy-source", "dummy-source", TEXT),
    prompt_version("sourced", "prompt-template", "prompt-template", TEXT),
    prompt_version("sourced", "a store", "s3://bucket/path", TEXT),
    prompt_version("sourced", "a path", "/tmp/x", TEXT),
    prompt_version("sourced", "is_prompt TRUE", "s3://bucket/path", [tag(IS_PROMPT, "TRUE")]),
    post("registered-models/create", "a prompt for the tag false", name="untagged", tags=PROMPT),
    prompt_version("untagged", "is_prompt false", "dummy-source", [tag(IS_PROMPT, "false")]),
    post("model-versions/create", "no tag, a placeholder", name="untagged", source="dummy-source"),
    prompt_version("sourced", "a text of 100000", "dummy-source", [*PROMPT, tag("mlflow.prompt.text", "x" * 100_000)]),
    prompt_version("sourced", "a text of 100001", "dummy-source", [*PROMPT, tag("mlflow.prompt.text", "x" * 100_001)]),
    get("registered-models/alias", "its latest version", name="sourced", alias="latest"),
    get("model-versions/get", "its first version", name="sourced", version="1"),
    get("model-versions/get-download-uri", "where it is", name="sourced", version="1"),
    post("registered-models/alias", name="sourced", alias="production", version="1"),
    get("registered-models/alias", name="sourced", alias="production"),
    post("registered-models/set-tag", name="sourced", key="_mlflow_experiment_ids", value=",1,2,"),
    get(MODELS, "by experiment", filter=f"tags.`{IS_PROMPT}` = 'true' AND tags.`_mlflow_experiment_ids` LIKE '%,1,%'"),
    post("model-versions/transition-stage", name="sourced", version="1", stage="Production"),
    delete("model-versions/delete", name="sourced", version="2"),
    delete("registered-models/delete", name="sourced"),
)

PROMPT_FILTERS = [
    f"tags.`{IS_PROMPT}` = 'true'",
    f"tag.`{IS_PROMPT}` = 'true'",
    f"tags.\"{IS_PROMPT}\" = 'true'",
    f"tags.{IS_PROMPT} = 'true'",
    f"tags.`{IS_PROMPT}` = 'TRUE'",
    f"tags.`{IS_PROMPT}` != 'true'",
    f"tag.`{IS_PROMPT}` != 'true'",
    f"tags.`{IS_PROMPT}` = 'false'",
    f"tags.`{IS_PROMPT}` != 'false'",
    f"tags.`{IS_PROMPT}` = 'x'",
    f"tags.`{IS_PROMPT}` LIKE 'true'",
    f"tags.`{IS_PROMPT}` ILIKE 'TRUE'",
    f"tags.`{IS_PROMPT}` LIKE '%'",
    f"name LIKE 'p%' AND tags.`{IS_PROMPT}` = 'true'",
    f"name LIKE 'p%' AND tags.`{IS_PROMPT}` != 'true'",
    f"tags.`{IS_PROMPT}` = 'true' AND tags.team = 'risk'",
    f"tags.`{IS_PROMPT}` != 'true' AND tags.team = 'risk'",
    f"tags.`{IS_PROMPT}` = 'true' AND tags.`{IS_PROMPT}` != 'true'",
    f"tags.`{IS_PROMPT}` != 'true' AND tags.`{IS_PROMPT}` = 'true'",
    f"tags.`{IS_PROMPT}` = true",
    f"tags.`{IS_PROMPT}` IN ('true')",
    "name = 'p-one'",
    "tags.team = 'risk'",
    "",
]

SEARCHES = scenario(
    "searches for prompts",
    prompt("p-one", tag("team", "risk")),
    prompt("p-two"),
    model("model p-model", "p-model", tag("team", "risk")),
    model("model other", "other"),
    model("a model tagged false", "p-false", tag(IS_PROMPT, "false")),
    model("a prompt tagged TRUE", "p-loud", tag(IS_PROMPT, "TRUE")),
    prompt_version("p-one", "first", "dummy-source", [*TEXT, tag("team", "risk")]),
    prompt_version("p-one", "second", "dummy-source", TEXT),
    prompt_version("p-two", "other", "prompt-template", TEXT),
    model_version("p-model", tag("team", "risk")),
    model_version("other"),
    model_version("p-false", tag(IS_PROMPT, "false")),
    [get(MODELS, f"models: {text}", filter=text) for text in PROMPT_FILTERS],
    [get(VERSIONS, f"versions: {text}", filter=text) for text in PROMPT_FILTERS],
    get(
        VERSIONS,
        "versions as the client asks for them",
        filter=f"name = 'p-one' AND tag.`{IS_PROMPT}` = 'true'",
        order_by="version_number DESC",
    ),
    all_pages(MODELS, "pages of prompts", filter=f"tags.`{IS_PROMPT}` = 'true'", max_results="1"),
    all_pages(MODELS, "pages without prompts", max_results="1"),
)

HIDDEN = scenario(
    "a version tagged as a prompt",
    post("registered-models/create", "a model", name="half"),
    post("model-versions/create", "its first version", name="half", source="s3://b/1"),
    post("model-versions/create", "its second version", name="half", source="s3://b/2"),
    get(VERSIONS, "both versions are found", filter="name = 'half'"),
    post("model-versions/set-tag", name="half", version="2", key=IS_PROMPT, value="true"),
    get(VERSIONS, "after one was tagged as a prompt", filter="name = 'half'"),
    get(VERSIONS, "among prompts", filter=f"tags.`{IS_PROMPT}` = 'true'"),
    delete("model-versions/delete", name="half", version="2"),
    get(VERSIONS, "after that one was deleted", filter="name = 'half'"),
    get(MODELS, "the model is found", filter="name = 'half'"),
)

SCENARIOS = [CLASHES, SOURCES, SEARCHES, HIDDEN]
