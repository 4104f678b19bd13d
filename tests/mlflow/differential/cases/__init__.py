"""All cases. A new one goes into a table of the module that it belongs to; a new module goes into this list."""

from tests.mlflow.differential.cases import json_input, lifecycle, prompts, search, sources, surface, validation

SCENARIOS = [
    *surface.SCENARIOS,
    *json_input.SCENARIOS,
    *validation.SCENARIOS,
    *sources.SCENARIOS,
    *lifecycle.SCENARIOS,
    *search.SCENARIOS,
    *prompts.SCENARIOS,
]
