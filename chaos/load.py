"""Clients that change things all the time, each knowing for sure what it was told; beside them some that only look."""

import threading
import time
import uuid
from collections.abc import Callable
from urllib.parse import quote

from chaos.calls import Answer, Caller, Request, ok
from chaos.journal import Change, Journal

MLFLOW = "/api/2.0/mlflow/model-versions/"
SETUP = "setup."
TAGS = ("team", "ticket", "region")
UNKEYED = 0.2
"""The share of POSTs that are sent once, without a key."""
AGAIN = 0.05
"""The share of acknowledged POSTs that are sent again, to be given the same answer."""
FOLLOW_SECONDS = 2
STOP_SECONDS = 120.0


class Load:
    """So many writers on so few models that they meet."""

    def __init__(
        self, port: Callable[[], int], journal: Journal, *, writers: int, models: int, seed: str, called: str = "model"
    ) -> None:
        self.journal = journal
        self.models = [f"{called}-{number}" for number in range(models)]
        self.stopping = threading.Event()
        self.pace = 0.0
        """Seconds from the beginning of a change to that of the writer's next, on average; 0: it never rests."""
        self._callers: list[Caller] = []
        self.follower = Follower(self._caller(port, f"{seed}-follower"), self.stopping)
        self._looker = Looker(self._caller(port, f"{seed}-looker"), self)
        self._writers = [Writer(self._caller(port, f"{seed}-{number}"), self, number) for number in range(writers)]
        whats = [self._looker.run, self.follower.run, *(writer.run for writer in self._writers)]
        self._threads = [threading.Thread(target=self._guard, args=(what,), daemon=True) for what in whats]

    def _caller(self, port: Callable[[], int], seed: str) -> Caller:
        caller = Caller(port, self.journal, self.stopping, seed)
        self._callers.append(caller)
        return caller

    @property
    def used_again(self) -> int:
        """How many requests went over a connection that had carried others."""
        return sum(caller.line.used_again for caller in self._callers)

    def keep_connections(self) -> None:
        """Have clients keep their connections from now on."""
        for caller in self._callers:
            caller.keeps = True

    def _guard(self, run: Callable[[], None]) -> None:
        """A client that fails of itself is a fault of ours, and is not overlooked."""
        try:
            run()
        except Exception as error:
            self.journal.fault(f"a client failed: {error!r}")
            raise

    def prepare(self) -> None:
        """Make the models."""
        for name in self.models:
            change = Change(f"{SETUP}{name}", {"registered_model.create": 1, "grant.create": 1})  # who makes it owns it
            key = f"{SETUP}{name}"
            answer = self._writers[0].caller.do(change, Request("POST", "/api/v1/models", {"name": name}, key))
            if not ok(answer):
                raise RuntimeError(f"The models cannot be made: {answer}")

    def start(self) -> None:
        """Let them begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let them finish what they are at."""
        self.stopping.set()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            self.journal.fault("clients wait for answers that do not come")


class Writer:
    """One client that changes things. Tags and aliases are its own alone, so that setting one twice is once."""

    def __init__(self, caller: Caller, load: Load, number: int) -> None:
        self.caller = caller
        self._load = load
        self._number = number
        self._own: list[tuple[str, int]] = []
        """Versions that it made."""
        self._fresh: list[tuple[str, int]] = []
        """Those of them that never stood anywhere."""
        kinds = {self.create: 30, self.create_over_mlflow: 10, self.register: 8, self.promote: 15}
        kinds |= {self.promote_over_mlflow: 7, self.tag: 12, self.alias: 8, self.comment: 6, self.describe: 4}
        self._kinds, self._weights = list(kinds), list(kinds.values())

    def run(self) -> None:
        """Change one thing after the other."""
        due = time.monotonic()
        while not self._load.stopping.is_set():
            [kind] = self.caller.chance.choices(self._kinds, self._weights)
            kind()
            # Who is late catches up, by one change at most.
            due = max(due, time.monotonic() - self._load.pace) + self._load.pace * self.caller.chance.uniform(0.5, 1.5)
            self._load.stopping.wait(max(0.0, due - time.monotonic()))

    def create(self) -> None:
        """Register a version with two tags."""
        model, change = self._some_model(), new({"model_version.create": 1, "model_version_tag.set": 2}, makes=True)
        body = {"source": change.source, "tags": {"by": change.id, "of": model}}
        self._made(model, self._post(change, f"/api/v1/models/{model}/versions", body), "version", fresh=True)

    def create_over_mlflow(self) -> None:
        """The same by the other face."""
        model, change = self._some_model(), new({"model_version.create": 1, "model_version_tag.set": 1}, makes=True)
        body = {"name": model, "source": change.source, "tags": [{"key": "by", "value": change.id}]}
        answer = self._post(change, MLFLOW + "create", body)
        if ok(answer):
            self._remember(model, int(answer.json()["model_version"]["version"]), fresh=True)

    def register(self) -> None:
        """Register a version into Production, in one transaction."""
        model, change = self._some_model(), new({"model_version.create": 1, "model_version.transition": 1}, makes=True)
        change.may_archive = True
        body = {"source": change.source, "stage": "Production", "archive_existing": True, "reason": change.id}
        self._made(model, self._post(change, f"/api/v1/models/{model}/versions", body), "version", fresh=False)

    def promote(self) -> None:
        """Move a version to Production; whoever stands there makes way."""
        if (found := self._take_fresh()) is None:
            return self.create()
        change = new({"model_version.transition": 1}, may_archive=True)
        body = {"to": "Production", "archive_existing": True, "reason": change.id}
        self._post(change, f"/api/v1/models/{found[0]}/versions/{found[1]}/transitions", body)
        return None

    def promote_over_mlflow(self) -> None:
        """The same by the other face."""
        if (found := self._take_fresh()) is None:
            return self.create_over_mlflow()
        change = new({"model_version.transition": 1}, may_archive=True)
        body = {"name": found[0], "version": str(found[1]), "stage": "Production", "archive_existing_versions": True}
        self._post(change, MLFLOW + "transition-stage", body)
        return None

    def tag(self) -> None:
        """Set three tags of a version in one request."""
        if (found := self._some_own()) is None:
            return self.create()
        change = new({"model_version_tag.set": len(TAGS)})
        body = {"tags": dict.fromkeys(TAGS, change.id)}
        path = f"/api/v1/models/{found[0]}/versions/{found[1]}/tags"
        self.caller.do(change, Request("PATCH", path, body, repeatable=True))
        return None

    def alias(self) -> None:
        """Let an alias that nobody had before name a version."""
        if (found := self._some_own()) is None:
            return self.create()
        change = new({"alias.set": 1})
        path = f"/api/v1/models/{found[0]}/aliases/{quote(change.id.replace('-', ''))}"
        self.caller.do(change, Request("PUT", path, {"version": found[1]}, repeatable=True))
        return None

    def comment(self) -> None:
        """Say something about a version."""
        if (found := self._some_own()) is None:
            return self.create()
        change = new({"comment.create": 1})
        self._post(change, f"/api/v1/models/{found[0]}/versions/{found[1]}/comments", {"text": change.id})
        return None

    def describe(self) -> None:
        """Describe a version."""
        if (found := self._some_own()) is None:
            return self.create()
        change = new({"model_version.describe": 1})
        path = f"/api/v1/models/{found[0]}/versions/{found[1]}"
        self.caller.do(change, Request("PATCH", path, {"description": change.id}, repeatable=True))
        return None

    def _post(self, change: Change, path: str, body: object) -> Answer:
        """Send a POST: mostly with a key and until it is answered, sometimes once and without."""
        chance = self.caller.chance
        key = None if chance.random() < UNKEYED else change.id
        request = Request("POST", path, body, key)
        answer = self.caller.do(change, request)
        if key and ok(answer) and chance.random() < AGAIN:
            again = self.caller.do(change, request)
            same = (again.status, again.body) == (answer.status, answer.body)
            if ok(again) and not same and not self.caller.journal.outdated:
                self.caller.journal.fault(f"another answer to the same key: {change.id}")
        return answer

    def _made(self, model: str, answer: Answer, field: str, *, fresh: bool) -> None:
        if ok(answer):
            self._remember(model, int(answer.json()[field]), fresh=fresh)

    def _remember(self, model: str, number: int, *, fresh: bool) -> None:
        self._own.append((model, number))
        if fresh:
            self._fresh.append((model, number))

    def _some_model(self) -> str:
        return self.caller.chance.choice(self._load.models)

    def _some_own(self) -> tuple[str, int] | None:
        return self.caller.chance.choice(self._own[-200:]) if self._own else None

    def _take_fresh(self) -> tuple[str, int] | None:
        """A version that may be promoted; it is not again, so that every promotion changes something."""
        return self._fresh.pop() if self._fresh else None


class Looker:
    """Looks at Production all the time: never must more than one version stand there."""

    def __init__(self, caller: Caller, load: Load) -> None:
        self._caller = caller
        self._load = load
        self.looks = 0

    def run(self) -> None:
        """Look."""
        while not self._load.stopping.wait(0.1):
            model = self._caller.chance.choice(self._load.models)
            answer = self._caller.ask(f"/api/v1/models/{model}/stages/Production")
            if ok(answer):
                self.looks += 1
                if len(found := answer.json()["items"]) > 1:
                    self._load.journal.fault(f"{len(found)} versions in Production of {model}")


class Follower:
    """Reads the log as it grows, by position, over whatever happens."""

    def __init__(self, caller: Caller, stopping: threading.Event) -> None:
        self.seen: list[int] = []
        self._caller = caller
        self._stopping = stopping

    def run(self) -> None:
        """Read on."""
        while not self._stopping.wait(0.1):
            self.read(FOLLOW_SECONDS)

    def read(self, wait: int) -> int:
        """Read a page; return how many events it had."""
        after = self.seen[-1] if self.seen else -1
        answer = self._caller.ask(f"/api/v1/audit?after={after}&wait={wait}")
        found = answer.json()["items"] if ok(answer) else []
        self.seen += [event["position"] for event in found]
        return len(found)


def new(expects: dict[str, int], *, makes: bool = False, may_archive: bool = False) -> Change:
    """A change with a name of its own."""
    name = uuid.uuid4().hex
    return Change(name, expects, may_archive, f"s3://chaos/{name}" if makes else None)
