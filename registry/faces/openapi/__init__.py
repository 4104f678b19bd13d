"""The contract of the JSON faces as an OpenAPI 3.1 document: collected from the routes and their schemas, and served.

A library of the marshmallow family turns schemas into JSON Schema; what is ours is the walk over the routes, and what
follows from a route without being written on it: who may be refused, and which headers come and go.
"""

from registry.faces.openapi.document import document
from registry.faces.openapi.pages import docs

__all__ = ["docs", "document"]
