"""Instances that are replaced under load: by ones of the same release, and by ones of the next with its schema."""

import shutil
import time
from pathlib import Path

from chaos.balance import Balancer
from chaos.box import Box
from chaos.postgres import SUPERUSER
from chaos.service import ROOT, Service, run

NEXT = "chaos"
MIGRATION = '''
"""What a next release might add: a column that may be empty, and an index."""

from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None
serves = "{before}"


def upgrade() -> None:
    op.execute("ALTER TABLE registry.registered_models ADD COLUMN added_by_chaos text")
    op.execute("CREATE INDEX ix_added_by_chaos ON registry.registered_models (added_by_chaos)")
'''


def roll(box: Box, times: int) -> None:
    """Stop and start one instance after the other by SIGTERM, behind a load balancer: no request may be lost.

    It comes last in a box: clients stop with the balancer.
    """
    balancer = Balancer([service.port for service in box.services])
    balancer.start()
    box.port = lambda: balancer.port
    for number in range(times):
        time.sleep(1)
        service = box.services[number % len(box.services)]
        wait_for(balancer, [one.port for one in box.services])
        service.terminate()
        if (code := service.wait()) != 0:
            box.journal.fault(f"an instance that was told to stop ended with {code}")
        service.start()
        box.counts["instances replaced"] += 1
    wait_for(balancer, [one.port for one in box.services])
    box.load.stop()
    balancer.stop()
    box.port = lambda: box.services[0].port


def roll_kept(box: Box, times: int) -> None:
    """The same beside clients who keep their connections: each is answered once more, and told to go elsewhere."""
    box.load.keep_connections()
    roll(box, times)
    box.counts["requests over kept connections"] = box.load.used_again
    if not box.load.used_again:
        box.journal.fault("no connection was kept")


def wait_for(balancer: Balancer, ports: list[int]) -> None:
    """Wait until the balancer knows that all are ready."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not all(balancer.is_ready(port) for port in ports):
        time.sleep(0.05)


def upgrade(box: Box, times: int) -> None:
    """Upgrade the schema to that of a next release, whose instance comes beside the old one, which goes on."""
    root = next_release(box.directory / "next")
    [old] = box.services
    for _ in range(times):
        time.sleep(2)
        done = run("db", "upgrade", root=root, REGISTRY_DATABASE_URL=box.server.url(SUPERUSER))
        if done.returncode:
            box.journal.fault(f"the upgrade failed under load: {done.stderr[-500:]}")
            return
        given = {name: value for name, value in old.settings.items() if name != "REGISTRY_PORT"}
        box.root = root
        new = Service(box.directory, "next", given, root)
        new.start()
        box.services.append(new)
        time.sleep(3)
        for service in (old, new):
            if not service.is_ready():
                box.journal.fault(f"{service.said.stem} is not ready beside another release")
        with box.journal.losing_answers():  # there is no load balancer here
            box.services.remove(old)
            time.sleep(1)
            old.terminate()
            old.wait()
        time.sleep(2)
        box.counts["releases upgraded"] += 1


def next_release(directory: Path) -> Path:
    """A copy of this release with one more migration."""
    for part in ("registry", "migrations"):
        shutil.copytree(ROOT / part, directory / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", directory)
    versions = directory / "migrations" / "versions"
    before = max(path.name for path in versions.glob("[0-9]*.py"))[:4]
    revision = f"{int(before) + 1:04}"
    (versions / f"{revision}_{NEXT}.py").write_text(MIGRATION.format(revision=revision, before=before))
    return directory
