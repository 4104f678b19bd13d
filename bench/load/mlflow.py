"""Loads the database of an MLflow server with the same models, versions, tags and aliases."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing

from bench import population
from bench.contenders import QUIET_MLFLOW
from bench.load import rows
from bench.load.copying import copy
from bench.population import Size
from bench.processes import environment
from bench.servers import connect

MAKE_TABLES = (
    "import sys; from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore; SqlAlchemyStore(*sys.argv[1:])"
)
MILLISECONDS = 1_000


def load(python: str, url: str, size: Size, say: Callable[[str], object] = print) -> None:
    """Make the tables as the server does, and fill them."""
    command = [python, "-c", MAKE_TABLES, url, "/nowhere"]
    subprocess.run(command, env=environment(**QUIET_MLFLOW), check=True, capture_output=True)
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        for table, make in TABLES.items():
            copy(cursor, table, make(size), say)
        connection.commit()
        connection.autocommit = True
        cursor.execute("VACUUM ANALYZE")


def models(size: Size) -> Iterator[tuple[object, ...]]:
    """The registered models."""
    for index in range(size.models):
        made, changed = size.created(index), size.at(index, size.count(index), 3)
        yield population.name(index), made * MILLISECONDS, changed * MILLISECONDS, population.description(index)


def versions(size: Size) -> Iterator[tuple[object, ...]]:
    """The model versions."""
    for index in range(size.models):
        for number in range(1, size.count(index) + 1):
            source, run = population.source(index, number), population.run_id(index, number)
            made, changed = size.at(index, number, 0), rows.stage_spans(size, index, number)[-1][1]
            yield (
                population.name(index), number, made * MILLISECONDS, changed * MILLISECONDS,
                population.stage(size, index, number), source, run, "READY", source,
            )  # fmt: skip


def model_tags(size: Size) -> Iterator[tuple[object, ...]]:
    """The tags of models."""
    for index in range(size.models):
        for key, value in population.tags(size, index).items():
            yield population.name(index), key, value


def version_tags(size: Size) -> Iterator[tuple[object, ...]]:
    """The tags of versions."""
    for index in range(size.models):
        yield population.name(index), size.count(index), "validated", "yes"


def aliases(size: Size) -> Iterator[tuple[object, ...]]:
    """The aliases."""
    for index in range(size.models):
        yield population.name(index), "champion", size.count(index)


TABLES = {
    "registered_models (name, creation_time, last_updated_time, description)": models,
    "model_versions (name, version, creation_time, last_updated_time, current_stage, source, run_id, status, "
    "storage_location)": versions,
    "registered_model_tags (name, key, value)": model_tags,
    "model_version_tags (name, version, key, value)": version_tags,
    "registered_model_aliases (name, alias, version)": aliases,
}
