"""The programme: plays the scenarios, looks, prints counts, and ends with 0 if nothing was wrong and 1 otherwise."""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from chaos.box import Box, Plan, make_template, opened
from chaos.postgres import Server
from chaos.report import Outcome, table
from chaos.scenarios.catalogue import SCENARIOS, SOAK, Scenario


def main() -> None:
    """Run it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of everything that cleans up
    asked = arguments()
    began = time.monotonic()
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="chaos-") as made:
        Path(made).chmod(0o755)  # PostgreSQL runs as another user where we are root
        template = make_template(Path(made) / "template")
        for number, group in enumerate(groups(asked)):
            outcome = play(Path(made) / f"box-{number}", template, group, asked)
            print(f"\n{outcome}", flush=True)
            outcomes.append(outcome)
            if asked.report:  # each time, so that a run that is stopped leaves what it has
                asked.report.write_text(table(outcomes, time.monotonic() - began, asked.noise))
    seconds = time.monotonic() - began
    bad = [outcome.name for outcome in outcomes if not outcome.good]
    print(f"\n{'NOT GOOD: ' + '; '.join(bad) if bad else 'All is well'} after {seconds:.0f} s")
    sys.exit(1 if bad else 0)


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the short form, for CI")
    parser.add_argument("--soak", action="store_true", help="with the soak of an hour, which is left out otherwise")
    parser.add_argument("--only", action="append", metavar="NAME", help="play this scenario alone; repeatable")
    parser.add_argument("--times", type=int, help="how often, instead of what the form says")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the counts into this file")
    parser.add_argument("--noise", default="", metavar="TEXT", help="what else the machine did, for the report")
    parser.add_argument("--seed", default=str(time.time_ns()), help="what chance begins with")
    asked = parser.parse_args()
    known = {scenario.name for scenario in SCENARIOS}
    for name in asked.only or []:
        if name not in known:
            parser.error(f"there is no scenario {name!r}, only: {', '.join(sorted(known))}")
    print(f"seed {asked.seed}")
    return asked


def times(scenario: Scenario, asked: argparse.Namespace) -> int:
    """How often a scenario is played."""
    chosen = scenario.name in asked.only if asked.only else asked.soak or scenario.name != SOAK
    if not chosen:
        return 0
    return int(asked.times or (scenario.quick if asked.quick else scenario.full))


def groups(asked: argparse.Namespace) -> list[list[Scenario]]:
    """The scenarios that share a box: in the short form those that furnish it alike, to save time."""
    chosen = [scenario for scenario in SCENARIOS if times(scenario, asked)]
    if not asked.quick:
        return [[scenario] for scenario in chosen]
    alike: dict[Plan, list[Scenario]] = {}
    for scenario in chosen:
        alike.setdefault(scenario.plan, []).append(scenario)
    return list(alike.values())


def play(directory: Path, template: Server, group: list[Scenario], asked: argparse.Namespace) -> Outcome:
    """Play some scenarios in one box, and look."""
    began = time.monotonic()
    name = ", ".join(scenario.name for scenario in group)
    if (why := group[0].why_not()) is not None:
        return Outcome.of_nothing(name, why)
    box = Box(directory, template, group[0].plan, f"{asked.seed}-{name}")
    try:
        with opened(box):
            for scenario in group:
                scenario.play(box, times(scenario, asked))
            box.settle()
    except Exception as error:  # the others are played all the same
        box.journal.fault(f"the programme failed: {error!r}")
    return Outcome.of(name, box, time.monotonic() - began, must_be_seen=group[0].must_be_seen)


if __name__ == "__main__":
    main()
