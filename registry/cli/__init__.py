"""The command line, `registry …`. Its commands speak to a running service; `serve`, `db` and `token` know its database.

Nothing of the service is imported until a command needs it, so that those that only ask a question start quickly.
"""

import click

from registry import __version__
from registry.cli.lazy import LazyGroup, Table

COMMANDS: Table = {
    "Look": {
        "models": ("registry.cli.models:models", "List models, or show one."),
        "versions": ("registry.cli.versions:versions", "List the versions of a model, or show one."),
        "search": ("registry.cli.search:search", "Find models or versions by words or by a filter."),
        "resolve": ("registry.cli.resolve:resolve", "Say which version a models:/ URI names, now or at a moment."),
        "history": ("registry.cli.history:history", "Say which versions stood in a stage from when until when."),
        "diff": ("registry.cli.diff:diff", "Show in what two versions of a model differ."),
        "audit": ("registry.cli.audit:audit", "Show who changed what, when and why."),
    },
    "Change": {
        "register": ("registry.cli.register:register", "Register a model, or its next version."),
        "promote": ("registry.cli.promote:promote", "Move a version to a stage."),
        "rollback": ("registry.cli.promote:rollback", "Give a stage back to the version that held it before."),
        "tag": ("registry.cli.labels:tag", "Show, set and remove tags."),
        "alias": ("registry.cli.labels:alias", "Show, set and remove aliases."),
        "comment": ("registry.cli.labels:comment", "Read and write comments."),
    },
    "Connect": {
        "login": ("registry.cli.login:login", "Keep a token for a registry, after asking for it."),
        "logout": ("registry.cli.login:logout", "Forget the kept token."),
        "whoami": ("registry.cli.login:whoami", "Say whom the registry takes you for."),
        "can-i": ("registry.cli.grants:can_i", "Say whether you may do something to a model, and why or why not."),
        "completion": ("registry.cli.completion:completion", "Print the script that completes commands in a shell."),
    },
    "Run a registry": {
        "serve": ("registry.cli.serve:serve", "Serve the registry until Ctrl-C or SIGTERM."),
        "db": ("registry.cli.database:database", "Upgrade or look at the database's schema."),
        "export": ("registry.cli.bundle:export_bundle", "Write the whole registry to one file, a bundle."),
        "import": ("registry.cli.bundle:import_bundle", "Bring a bundle into an empty registry."),
        "import-mlflow": (
            "registry.cli.import_mlflow:import_mlflow",
            "Bring over what an MLflow server has.",
        ),
        "token": ("registry.cli.tokens:token", "Make, list and revoke tokens."),
        "grant": ("registry.cli.grants:grant", "Say who may do what on which models."),
        "doctor": ("registry.cli.doctor:doctor", "Say how well the audit log is kept, and what would keep it better."),
        "sealer": ("registry.cli.sealer:sealer", "Seal the audit log; print its key; go on after a restore."),
    },
}


@click.group(cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="registry")
def main() -> None:
    """Keep models, their versions and their stages, with every change on record.

    Commands speak to the registry that `registry login` or REGISTRY_URL and REGISTRY_TOKEN name. Exit codes: 0 done,
    1 fault, 2 wrong use, 3 refused, 4 not found, 5 conflict, 6 unreachable.
    """
