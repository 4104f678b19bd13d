"""`python -m bench`: load what is not loaded yet, measure, and write the report."""

import argparse
import sys
from pathlib import Path

from bench import pgbench, wrk
from bench.population import LARGE, SMALL, TINY
from bench.run import Plan, run

HERE = Path(__file__).parent
ROOT = HERE.parent


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small registry alone, in under two minutes")
    parser.add_argument("--directory", type=Path, default=ROOT / "build/bench", help="where databases are kept")
    parser.add_argument("--server", metavar="URL", help="a superuser on another PostgreSQL than the embedded one")
    parser.add_argument("--mlflow", metavar="PYTHON", default=str(ROOT / ".venv-mlflow3/bin/python"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=1, help="of each measurement")
    parser.add_argument("--load", action="store_true", help="load only, to measure later")
    parser.add_argument("--report", type=Path, help="a file that is to have the report too")
    return parser


def main() -> None:
    """Run it."""
    given = arguments().parse_args()
    missing = [name for name, there in (("wrk", wrk.available()), ("pgbench", pgbench.program())) if not there]
    if missing:
        sys.exit(
            f"Error: {' and '.join(missing)} not found: install Debian's wrk and postgresql-contrib, or their like."
        )
    python = given.mlflow if Path(given.mlflow).exists() else None
    if python is None:
        print("There is no environment with MLflow: it is left out (make .venv-mlflow3/.done makes one).")
    plan = Plan(
        directory=given.directory / ("quick" if given.quick else "full"),
        sizes=[TINY] if given.quick else [SMALL, LARGE],
        mlflow=python,
        server=given.server,
        rounds=1 if given.quick else given.rounds,
        seconds=given.seconds,
        quick=given.quick,
    )
    text = run(plan, load_only=given.load)
    print(text)
    if given.report:
        given.report.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
