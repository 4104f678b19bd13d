"""Checks values against the schemas of the contract."""

import json
from typing import Any

import jsonschema_rs


def faults(contract: dict[str, Any], schema: Any, value: Any) -> list[str]:
    """What is wrong with a value by a schema of the contract, the formats of texts included."""
    whole = jsonschema_rs.Registry([("urn:contract", contract)])
    absolute = json.loads(json.dumps(schema).replace('"#/', '"urn:contract#/'))
    validator = jsonschema_rs.Draft202012Validator(absolute, registry=whole, validate_formats=True)
    return [f"{error.message} at {error.instance_path}" for error in validator.iter_errors(value)]
