"""The report of a verification, for people."""

from registry.cli.output import show
from registry.cli.text import plain
from registry.verification.findings import SHOWN, Divergence
from registry.verification.verify import CHECKS, Report


def show_report(report: Report) -> None:
    """Print what was looked at, what does not hold, and the verdict."""
    signed = f"{report.origin}, size {report.size}" if report.origin else "none"
    show(f"events       {report.events} in {report.streams} streams, {report.sealed} of them sealed")
    show(f"checkpoints  {report.checkpoints}, the last one {signed}")
    show(f"texts        {report.texts} kept apart from the log, {report.erased} erased")
    show(f"replay       {', '.join(f'{count} {table}' for table, count in report.rows.items())}")
    for note in report.notes:
        show(f"NOTE {plain(note)}")
    if report.verified:
        show("VERIFIED: the log is whole, sealed as signed, and the tables say what it says")
        return
    counts = ", ".join(f"{report.divergences[check]} {check}" for check in CHECKS if check in report.divergences)
    for one in report.first_divergences:
        show(line(one))
    shown, total = len(report.first_divergences), sum(report.divergences.values())
    show(f"NOT VERIFIED: {counts}" + (f"; the first {shown} of {total} are listed" if total > SHOWN else ""))


def line(one: Divergence) -> str:
    """A divergence as a line."""
    return plain(f"DIVERGENCE at {one.where}: {one.what} [{one.check}]")
