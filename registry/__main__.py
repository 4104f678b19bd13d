"""`python -m registry`, for where the command `registry` is not on the path."""

from registry.cli import main

main(prog_name="registry")
