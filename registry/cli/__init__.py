"""The command line, `registry …`. `serve`, `db` and `token` work on the database itself, as the operator.

What goes wrong in running the service (a setting, the database, the port) is one line on standard error and exit
code 1; a wrong use of a command is exit code 2. Results go to standard output, everything said to people to standard
error.
"""

from typing import Any

import click

from registry import __version__
from registry.cli.database import database
from registry.cli.serve import serve
from registry.cli.tokens import token
from registry.config import ConfigError
from registry.embedded import EmbeddedError
from registry.errors import RegistryError
from registry.schema import SchemaError

FAULTS = (ConfigError, EmbeddedError, RegistryError, SchemaError)


class Commands(click.Group):
    """A group whose commands report operational faults in one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except FAULTS as fault:
            raise click.ClickException(str(fault)) from fault


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="registry")
def main() -> None:
    """Run a model registry: versions, stages and promotions of MLflow models, every change on record.

    Settings are environment variables named REGISTRY_...; the README lists them all.
    """


main.add_command(serve)
main.add_command(database)
main.add_command(token)
