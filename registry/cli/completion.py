"""`registry completion`: the script by which a shell completes our commands."""

import click
from click.shell_completion import get_completion_class

from registry.cli.output import show

HOW = """\b
bash:  eval "$(registry completion bash)"                      in ~/.bashrc
zsh:   eval "$(registry completion zsh)"                       in ~/.zshrc
fish:  registry completion fish > ~/.config/fish/completions/registry.fish
"""


@click.command(epilog=HOW)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands, options, stages and names of models in a shell."""
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 (click has all three)
    show(kind(ctx.find_root().command, {}, "registry", "_REGISTRY_COMPLETE").source().rstrip())
