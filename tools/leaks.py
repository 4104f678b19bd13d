"""Look for secrets in what git keeps: `make secrets`. Exits with 1 and names file, line and kind of what it finds.

The scanner is detect-secrets with the patterns of providers' tokens, private keys, JWTs and passwords in addresses, and
one of our own for tokens of this registry. Its guesses by entropy and by words such as "password" are left out: in a
repository full of digests they cry wolf until nobody looks. A line that ends in `# pragma: allowlist secret` is left
alone, for reviewers to see.
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from detect_secrets.core.potential_secret import PotentialSecret
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings

ROOT = Path(__file__).parent.parent
PATTERNS = (
    "ArtifactoryDetector",
    "AWSKeyDetector",
    "AzureStorageKeyDetector",
    "BasicAuthDetector",
    "DiscordBotTokenDetector",
    "GitHubTokenDetector",
    "GitLabTokenDetector",
    "JwtTokenDetector",
    "MailchimpDetector",
    "NpmDetector",
    "OpenAIDetector",
    "PrivateKeyDetector",
    "PypiTokenDetector",
    "SendGridDetector",
    "SlackDetector",
    "SquareOAuthDetector",
    "StripeDetector",
    "TelegramBotTokenDetector",
    "TwilioKeyDetector",
)
"""The scanner's plugins that know what they look for."""
OURS = {"name": "RegistryTokenDetector", "path": (ROOT / "tools" / "leaks_plugin.py").as_uri()}
PLACEHOLDERS = re.compile(r"(secret|s3cr3t[@%\w]*|password|hush|mreg_[.…]*|p|p%40|pass|x|\{\w+\}|<\w+>)")
"""What stands for a secret in documentation and tests of addresses."""
INVENTED = re.compile(r"mreg_(.)\1{39}")
"""Tokens of tests: forty times the same character, which no token of ours is."""


def tracked() -> list[Path]:
    """The files that git keeps, without locks, which are digests from end to end."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [ROOT / name for name in listed.split("\0") if name and not name.endswith(".lock")]


def found_in(files: Iterable[Path]) -> Iterator[PotentialSecret]:
    """Yield what looks like a secret and is no placeholder."""
    with transient_settings({"plugins_used": [*({"name": name} for name in PATTERNS), OURS]}):
        for file in files:
            for secret in scan_file(str(file)):
                value = secret.secret_value or ""
                if not PLACEHOLDERS.fullmatch(value) and not INVENTED.fullmatch(value):
                    yield secret


def main() -> None:
    """Scan, and say what was found."""
    found = list(found_in(tracked()))
    for secret in found:
        print(f"{Path(secret.filename).relative_to(ROOT)}:{secret.line_number}: {secret.type}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
