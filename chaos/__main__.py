"""The programme: plays the scenarios, looks, prints counts, and ends with 0 if nothing was wrong and 1 otherwise."""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from chaos.box import Box, Plan, make_template, opened
from chaos.postgres import Server
from chaos.scenarios.catalogue import SCENARIOS, SOAK, Scenario

SHOWN = 15
"""Faults of one box that are printed."""


def main() -> None:
    """Run it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of everything that cleans up
    asked = arguments()
    began = time.monotonic()
    faults = 0
    with tempfile.TemporaryDirectory(prefix="chaos-") as made:
        Path(made).chmod(0o755)  # PostgreSQL runs as another user where we are root
        template = make_template(Path(made) / "template")
        for number, group in enumerate(groups(asked)):
            faults += play(Path(made) / f"box-{number}", template, group, asked)
    print(f"\n{'FAULTS: ' + str(faults) if faults else 'Nothing was lost'} in {time.monotonic() - began:.0f} s")
    sys.exit(1 if faults else 0)


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the short form, for CI")
    parser.add_argument("--soak", action="store_true", help="with the soak of an hour, which is left out otherwise")
    parser.add_argument("--only", action="append", metavar="NAME", help="play this scenario alone; repeatable")
    parser.add_argument("--times", type=int, help="how often, instead of what the form says")
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
    if asked.only:
        return int(asked.times or scenario.quick or 1) if scenario.name in asked.only else 0
    if scenario.name == SOAK and not asked.soak:
        return 0
    return scenario.quick if asked.quick else scenario.full


def groups(asked: argparse.Namespace) -> list[list[Scenario]]:
    """The scenarios that share a box: in the short form those that furnish it alike, to save time."""
    chosen = [scenario for scenario in SCENARIOS if times(scenario, asked)]
    if not asked.quick:
        return [[scenario] for scenario in chosen]
    alike: dict[Plan, list[Scenario]] = {}
    for scenario in chosen:
        alike.setdefault(scenario.plan, []).append(scenario)
    return list(alike.values())


def play(directory: Path, template: Server, group: list[Scenario], asked: argparse.Namespace) -> int:
    """Play some scenarios in one box; print what came of it and return the number of faults."""
    began = time.monotonic()
    possible = [scenario for scenario in group if not tell_why_not(scenario)]
    if not possible:
        return 0
    with opened(directory, template, possible[0].plan, f"{asked.seed}-{group[0].name}") as box:
        for scenario in possible:
            scenario.play(box, times(scenario, asked))
        box.settle()
    report(", ".join(scenario.name for scenario in possible), box, time.monotonic() - began)
    if possible[0].must_be_seen:
        print("  spoilt on purpose, and " + ("seen" if box.journal.faults else "NOT SEEN"))
        return 0 if box.journal.faults else 1
    return len(box.journal.faults)


def tell_why_not(scenario: Scenario) -> bool:
    """Say why a scenario cannot be played here, if so."""
    why = scenario.why_not()
    if why:
        print(f"\n{scenario.name}: not played, {why}")
    return bool(why)


def report(name: str, box: Box, seconds: float) -> None:
    """Print the counts."""
    journal = box.journal
    print(f"\n{name} ({seconds:.0f} s): {'FAULTS' if journal.faults else 'nothing lost'}")
    attempts = sum(len(change.attempts) for change in journal.changes)
    box.counts |= {"changes asked for": len(journal.changes), "attempts": attempts}
    box.counts["acknowledged"] = journal.acknowledged
    for what, count in box.counts.items():
        print(f"  {count:>8}  {what}")
    print(f"  answers: {', '.join(f'{status}: {count}' for status, count in sorted(journal.statuses.items()))}")
    waits = sorted(journal.waits) or [0.0]
    print(f"  acknowledged within: median {waits[len(waits) // 2]:.2f} s, longest {waits[-1]:.2f} s")
    if box.slowest_ready:
        print(f"  ready again within {box.slowest_ready:.2f} s")
    for fault in journal.faults[:SHOWN]:
        print(f"  ! {fault}")


if __name__ == "__main__":
    main()
