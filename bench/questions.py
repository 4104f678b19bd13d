"""What is asked, of which size of registry: each question as many requests that wrk sends in turn.

Reads go to models drawn by chance. What a model, a version, an alias or a stage is, is asked of the same few models
again and again, as by a fleet of servers that polls; one of these questions is also asked so that no request is ever
sent twice, which no kept answer can help. Writes change something each time they are sent: tags get a value that they
never had, and of two versions now one and now the other goes to Production.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from bench import population
from bench.population import Size
from bench.wrk import COUNTER, Request, post

MLFLOW, OURS = "/api/2.0/mlflow", "/api/v1"
MANY, ONE = 32, 1
"""Connections: as many as saturate the service, or one caller whose waiting time is measured."""
DRAWN = 2_000
"""Requests of a question."""
POLLED = 200
"""Those of one that a fleet asks again and again."""
LAST_PAGE = 900
SEED = 20_261_125
STAGE, ALIAS, NUMBER, LATEST = REFERENCES = ("/Production", "@champion", "/3", "/latest")
"""What stands behind a model's name in a URI."""


@dataclass(frozen=True)
class Known:
    """What has to be looked up before some questions can be asked."""

    page: str = ""
    """The token of page 900 of a search over the MLflow interface."""
    etags: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """By the end of a reference: addresses on our own interface, each with the ETag of its answer."""
    positions: int = 1
    """How many events are sealed."""


@dataclass(frozen=True)
class Question:
    """A kind of request. What both can be asked goes to MLflow's server as it goes to us."""

    name: str
    make: Callable[[Size, random.Random, Known], Sequence[Request]]
    both: bool = True
    connections: int = MANY
    writes: bool = False

    def requests(self, size: Size, known: Known) -> Sequence[Request]:
        """The requests for a registry of this size; the same ones each time."""
        return self.make(size, random.Random(f"{SEED} {self.name}"), known)


def models(size: Size, chance: random.Random) -> list[int]:
    """Models drawn by chance; the largest is not among them."""
    return [chance.randrange(1, size.models) for _ in range(DRAWN)]


def polled(size: Size, chance: random.Random) -> list[int]:
    """Models drawn by chance, of which the same is asked again and again."""
    return models(size, chance)[:POLLED]


def changing(size: Size, chance: random.Random) -> list[int]:
    """Models that writes go to. The other half stays as it is, so that what was known of it is so still."""
    return [chance.randrange(1, size.models // 2) for _ in range(DRAWN)]


def latest(size: Size, chance: random.Random, _: Known, stages: Sequence[str] = ("Production",)) -> list[Request]:
    """The latest version in some stages, or in all of them."""
    return [latest_of(index, stages) for index in polled(size, chance)]


def never_asked(size: Size, chance: random.Random, _: Known) -> list[Request]:
    """Who is in Production, with a field that nobody reads and that is never the same."""
    return [latest_of(index, ["Production"], nonce=COUNTER) for index in models(size, chance)]


def latest_of(index: int, stages: Sequence[str], **more: str) -> Request:
    """The latest version of one model."""
    body = {"name": population.name(index)} | ({"stages": list(stages)} if stages else {}) | more
    return post(f"{MLFLOW}/registered-models/get-latest-versions", body)


def in_all_stages(size: Size, chance: random.Random, known: Known) -> list[Request]:
    """The latest version in each stage."""
    return latest(size, chance, known, ())


def get(path: str, **query: object) -> Request:
    """A GET over the MLflow interface."""
    return Request(f"{MLFLOW}/{path}?{urlencode(query)}")


def by_alias(size: Size, chance: random.Random, _: Known) -> list[Request]:
    """The version that an alias names."""
    at = "registered-models/alias"
    return [get(at, name=population.name(index), alias="champion") for index in polled(size, chance)]


def by_number(size: Size, chance: random.Random, _: Known) -> list[Request]:
    """A version by its number."""
    drawn = [(index, chance.randint(1, size.count(index))) for index in polled(size, chance)]
    return [get("model-versions/get", name=population.name(index), version=number) for index, number in drawn]


def model(size: Size, chance: random.Random, _: Known) -> list[Request]:
    """A model."""
    return [get("registered-models/get", name=population.name(index)) for index in polled(size, chance)]


def search(path: str, text: str, **more: object) -> Request:
    """A search over the MLflow interface."""
    return get(path, filter=text, **more)


def by_tag(size: Size, chance: random.Random, _: Known) -> list[Request]:
    """The ten models of a team."""
    teams = [population.tags(size, index)["team"] for index in models(size, chance)]
    return [search("registered-models/search", f"tags.team = '{team}'") for team in teams]


def by_name(size: Size, chance: random.Random, _: Known) -> list[Request]:
    """The ten models whose names begin alike."""
    beginnings = [population.name(index)[:-1] for index in models(size, chance)]
    return [search("registered-models/search", f"name LIKE '{beginning}%'") for beginning in beginnings]


def by_run(size: Size, chance: random.Random, _: Known) -> list[Request]:
    """The version that a run made."""
    drawn = [(index, chance.randint(1, size.count(index))) for index in models(size, chance)]
    runs = [population.run_id(index, number) for index, number in drawn]
    return [search("model-versions/search", f"run_id = '{run}'") for run in runs]


def largest_page(_: Size, __: random.Random, ___: Known) -> list[Request]:
    """All versions of the model that has the most, as MLflow's client asks for them: 10,000 at most."""
    return [search("model-versions/search", f"name = '{population.name(0)}'", max_results=10_000)]


def page_length(size: Size) -> int:
    """Models on a page, so that there are more than 900 pages."""
    return max(1, size.models // 1_000)


def last_page(size: Size) -> int:
    """The number of the last page that is asked for."""
    return min(LAST_PAGE, size.models * 9 // 10)


def first_page(size: Size, _: random.Random, __: Known) -> list[Request]:
    """The first page of all models."""
    return [get("registered-models/search", max_results=page_length(size))]


def page_900(size: Size, _: random.Random, known: Known) -> list[Request]:
    """The 900th page of all models."""
    return [get("registered-models/search", max_results=page_length(size), page_token=known.page)]


def of_the_largest(_: Size, __: random.Random, ___: Known) -> list[Request]:
    """Who is in Production, in the model with the most versions."""
    return [latest_of(0, ["Production"])]


def of_a_small_one(_: Size, __: random.Random, ___: Known) -> list[Request]:
    """Who is in Production, in a model of ten versions."""
    return [latest_of(1, ["Production"])]


def create(size: Size, chance: random.Random, _: Known) -> list[Request]:
    """A new version."""
    path, source = f"{MLFLOW}/model-versions/create", f"s3://models/new/{COUNTER}"
    return [post(path, {"name": population.name(index), "source": source}) for index in changing(size, chance)]


def transition(size: Size, chance: random.Random, _: Known) -> list[Request]:
    """A version goes to Production, and the one there is archived: of each model one version, then another one."""
    drawn = list(dict.fromkeys(changing(size, chance)))[: DRAWN // 2]
    return [promotion(index, number) for number in (1, 2) for index in drawn]


def promotion(index: int, number: int) -> Request:
    """One transition."""
    asked = {"name": population.name(index), "version": str(number), "stage": "Production"}
    return post(f"{MLFLOW}/model-versions/transition-stage", asked | {"archive_existing_versions": True})


def set_tag(size: Size, chance: random.Random, _: Known) -> list[Request]:
    """A tag of a version gets another value."""
    drawn = [(index, str(chance.randint(1, size.count(index)))) for index in changing(size, chance)]
    return [
        post(
            f"{MLFLOW}/model-versions/set-tag",
            {"name": population.name(index), "version": number, "key": "measured", "value": COUNTER},
        )
        for index, number in drawn
    ]


def resolving(reference: str) -> Callable[[Size, random.Random, Known], list[Request]]:
    """Our own interface: what a reference behind a model's name stands for."""

    def make(size: Size, chance: random.Random, _: Known) -> list[Request]:
        uris = [f"models:/{population.name(index)}{reference}" for index in polled(size, chance)]
        return [Request(f"{OURS}/resolve?uri={quote(uri)}") for uri in uris]

    return make


def unchanged(reference: str) -> Callable[[Size, random.Random, Known], list[Request]]:
    """The same, where the caller has the answer, so that a 304 suffices."""

    def make(_: Size, __: random.Random, known: Known) -> list[Request]:
        return [Request(path, headers={"If-None-Match": etag}) for path, etag in known.etags[reference]]

    return make


def own_model(size: Size, chance: random.Random, _: Known) -> list[Request]:
    """A model, on our own interface."""
    return [Request(f"{OURS}/models/{population.name(index)}") for index in polled(size, chance)]


def audit_of_model(size: Size, chance: random.Random, _: Known) -> list[Request]:
    """The last 100 events of a model."""
    return [Request(f"{OURS}/models/{population.name(index)}/audit") for index in models(size, chance)]


def audit_of_actor(_: Size, __: random.Random, ___: Known) -> list[Request]:
    """The last 100 events of an actor."""
    return [Request(f"{OURS}/audit?actor=principal:{number}") for number in range(1, 11)]


def audit_page(_: Size, __: random.Random, ___: Known) -> list[Request]:
    """The last 100 events."""
    return [Request(f"{OURS}/audit")]


def proof(_: Size, chance: random.Random, known: Known) -> list[Request]:
    """The proof that an event stands in the log."""
    return [Request(f"{OURS}/audit/proof/{chance.randrange(known.positions)}") for _ in range(DRAWN)]


def tail(_: Size, chance: random.Random, known: Known) -> list[Request]:
    """The 100 events behind a position."""
    behind = max(1, known.positions - 100)
    return [Request(f"{OURS}/audit?after={chance.randrange(behind)}&limit=100") for _ in range(DRAWN)]


RESOLVE, NEVER_ASKED, UNCHANGED, FIRST_PAGE, PAGE_900 = (
    "resolve a stage",
    "resolve a stage, never asked before",
    "resolve a stage, 304",
    "search, page 1",
    "search, page 900",
)
TRANSITION = "transition with archiving"
LARGEST, TEN = "resolve in the largest model", "resolve in a model of 10 versions"
QUESTIONS = (
    Question(RESOLVE, latest),
    Question(NEVER_ASKED, never_asked),
    Question("resolve an alias", by_alias),
    Question("get a version by number", by_number),
    Question("latest version of each stage", in_all_stages),
    Question("get a model", model),
    Question("search by tag", by_tag, connections=ONE),
    Question("search by name", by_name, connections=ONE),
    Question("search by run id", by_run, connections=ONE),
    Question("the largest page of versions", largest_page, connections=ONE),
    Question(FIRST_PAGE, first_page, connections=ONE),
    Question(PAGE_900, page_900, connections=ONE),
    Question(LARGEST, of_the_largest, connections=ONE),
    Question(TEN, of_a_small_one, connections=ONE),
    Question("create a version", create, writes=True),
    Question(TRANSITION, transition, writes=True),
    Question("set a tag", set_tag, writes=True),
    Question("resolve a stage, own interface", resolving(STAGE), both=False),
    Question("resolve an alias, own interface", resolving(ALIAS), both=False),
    Question("resolve a number, own interface", resolving(NUMBER), both=False),
    Question("resolve latest, own interface", resolving(LATEST), both=False),
    Question(UNCHANGED, unchanged(STAGE), both=False),
    Question("resolve an alias, 304", unchanged(ALIAS), both=False),
    Question("resolve a number, 304", unchanged(NUMBER), both=False),
    Question("resolve latest, 304", unchanged(LATEST), both=False),
    Question("get a model, own interface", own_model, both=False),
    Question("audit log of a model", audit_of_model, both=False, connections=ONE),
    Question("audit log of an actor", audit_of_actor, both=False, connections=ONE),
    Question("page of the audit log", audit_page, both=False, connections=ONE),
    Question("proof of an event", proof, both=False, connections=ONE),
    Question("tail of the log, 100 events", tail, both=False, connections=ONE),
)
BY_NAME = {question.name: question for question in QUESTIONS}
