"""What several schemas say in the same words."""

from registry.domain.names import NAME_MAX
from registry.vocabulary import Role

HIGHEST_POSITION = 2**63 - 1
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
NUMBERS = {"type": "object", "additionalProperties": {"type": "integer"}}
MODEL_NAME = {"minLength": 1, "maxLength": NAME_MAX, "pattern": "^[^/:]+$"}
NAMES = {"type": "array", "items": {"type": "string"}}
ROLES = [*map(str, Role), "owner", None]
