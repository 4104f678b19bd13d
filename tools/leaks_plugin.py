"""How detect-secrets knows a token of this registry: by the prefix that it has for this very purpose."""

import re

from detect_secrets.plugins.base import RegexBasedDetector


class RegistryTokenDetector(RegexBasedDetector):
    """Finds tokens of a model registry."""

    secret_type = "Model registry token"
    denylist = (re.compile(r"mreg_[0-9a-f]{40}"),)
