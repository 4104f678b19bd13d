"""The JSON in the body of a request: what it must be, and where it is not."""

import json
from typing import Any, NoReturn

from flask import request
from werkzeug.exceptions import UnsupportedMediaType

from registry.errors import Invalid


def json_object() -> dict[str, Any]:
    """The JSON object in the body.

    :raises UnsupportedMediaType: it is not said to be JSON.
    :raises Invalid: it is no JSON object; the text says where it ceases to be one, and repeats nothing of it.
    """
    if not request.is_json:
        raise UnsupportedMediaType("Send a JSON object, with the header 'Content-Type: application/json'.")
    body = parsed(request.get_data(cache=True))
    if not isinstance(body, dict):
        raise Invalid("The body must be a JSON object.")
    return body


def parsed(body: bytes) -> Any:
    """Parse JSON as RFC 8259 has it, without the liberties that Python takes."""
    try:
        return json.loads(body.decode(), object_pairs_hook=unambiguous, parse_constant=refuse_constant)
    except json.JSONDecodeError as error:
        raise Invalid(f"The body is not JSON: see line {error.lineno}, column {error.colno}.") from None
    except UnicodeDecodeError as error:
        raise Invalid(f"The body is not UTF-8: see byte {error.start + 1}.") from None
    except RecursionError:
        raise Invalid("The body is nested too deeply.") from None
    except ValueError:  # Python refuses numbers of thousands of digits
        raise Invalid("The body holds a number that is too long.") from None


def unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """:raises Invalid: a field comes twice, so that programs could differ about what was asked."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid(f"The field '{twice}' comes twice.", twice)
    return found


def refuse_constant(_: str) -> NoReturn:
    """:raises Invalid: NaN and Infinity are no JSON."""
    raise Invalid("The body is not JSON: NaN and Infinity are no numbers in it.")
