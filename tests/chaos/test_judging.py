"""What the harness finds wrong, case by case: a judge who never condemns is none."""

import pytest

from chaos import judging
from chaos.journal import Attempt, Change, Window
from chaos.judging import TRANSITION, Event

MADE = {"model_version.create": 1, "model_version_tag.set": 1}


def attempt(number: int, status: int | None, begun: float = 0.0, *, uncertain: bool = False) -> Attempt:
    return Attempt(f"c.{number}", begun, begun + 1, status, uncertain)


def change(*attempts: Attempt, **more: object) -> Change:
    return Change("c", MADE, source="s", attempts=list(attempts), **more)  # type: ignore[arg-type]


def event(number: int, action: str, *, position: int = 0, seq: int = 1, to: str = "Production") -> Event:
    return Event("model:1", seq, position, f"c.{number}", action, "model:1", {"stage": [None, to]})


def whole(number: int) -> list[Event]:
    return [event(number, action) for action in MADE]


CASES = {
    "done once and acknowledged": (change(attempt(0, 201)), [whole(0)], None),
    "done, and acknowledged to a later attempt": (change(attempt(0, None), attempt(1, 200)), [whole(0)], None),
    "neither done nor acknowledged": (change(attempt(0, 503)), [], None),
    "done, and nobody was told": (change(attempt(0, None)), [whole(0)], None),
    "done, and uncertain": (change(attempt(0, 503, uncertain=True)), [whole(0)], None),
    "lost": (change(attempt(0, 201)), [], "not there"),
    "done twice": (change(attempt(0, None), attempt(1, 201)), [whole(0), whole(1)], "done twice"),
    "half there": (change(attempt(0, None)), [whole(0)[:1]], "half there"),
    "more than asked": (change(attempt(0, 201)), [[*whole(0), event(0, "alias.set")]], "more than asked"),
    "denied and done": (change(attempt(0, 503)), [whole(0)], "done all the same"),
    "refused and done": (change(attempt(0, 409)), [whole(0)], "done all the same"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_change_is_judged_by_what_its_client_was_told(case: str) -> None:
    asked, left, wrong = CASES[case]
    found = list(judging.judge(asked, judging.by_request(one for events in left for one in events)))

    assert len(found) == (wrong is not None)
    assert wrong is None or wrong in found[0]


REWOUND = [Window(10.0, 20.0)]
"""Each attempt lasts a second."""


@pytest.mark.parametrize(
    ("asked", "left", "is_lost"),
    [
        (change(attempt(0, 201, 15.0)), [], True),
        (change(attempt(0, 201, 9.5)), [], True),
        (change(attempt(0, 503, 19.9), attempt(1, 201, 21.0)), [], True),
        (change(attempt(0, 201, 8.9)), [], False),
        (change(attempt(0, 201, 20.1)), [], False),
        (change(attempt(0, 201, 8.0), attempt(1, 201, 15.0)), [], False),
        (change(attempt(0, 503, 15.0)), [], False),
        (change(attempt(0, 201, 15.0)), [whole(0)], False),
    ],
)
def test_lost_is_what_was_acknowledged_while_a_history_went_on_that_ended(
    asked: Change, left: list[list[Event]], is_lost: bool
) -> None:
    events = judging.by_request(one for events in left for one in events)

    assert list(judging.lost([asked], events, REWOUND)) == [asked] * is_lost
    assert not list(judging.lost([asked], events, []))


def test_those_who_make_way_are_part_of_a_promotion_and_others_are_not() -> None:
    asked = Change("c", {TRANSITION: 1}, may_archive=True, attempts=[attempt(0, 200)])
    made_way, came = event(0, TRANSITION, to="Archived"), event(0, TRANSITION)

    assert not list(judging.incomplete(asked, "c.0", [made_way, made_way, came]))
    assert list(judging.incomplete(asked, "c.0", [made_way]))
    assert list(judging.incomplete(asked, "c.0", [came, came]))


def test_what_nobody_asked_for_is_found() -> None:
    left = judging.by_request(whole(0) + whole(7))

    assert len(list(judging.unasked([change(attempt(0, 201))], left, "setup."))) == 1


@pytest.mark.parametrize(
    ("seqs", "positions", "faults"),
    [([1, 2], [0, 1], 0), ([1, 3], [0, 1], 1), ([1, 1], [0, 1], 1), ([1, 2], [0, 2], 1)],
)
def test_gaps_and_doubles_are_found(seqs: list[int], positions: list[int], faults: int) -> None:
    events = [event(0, "x", seq=seq, position=position) for seq, position in zip(seqs, positions, strict=True)]

    assert len(list(judging.gaps(events))) == faults


@pytest.mark.parametrize(("second_begun", "second_position", "faults"), [(2.0, 6, 0), (2.0, 4, 1), (0.5, 4, 0)])
def test_what_was_acknowledged_before_stands_before(second_begun: float, second_position: int, faults: int) -> None:
    changes = [change(attempt(0, 201)), change(attempt(1, 201, second_begun))]
    events = [event(0, "x", position=5), event(1, "x", position=second_position)]

    assert len(list(judging.out_of_order(changes, judging.by_request(events)))) == faults


@pytest.mark.parametrize(
    ("status", "count", "faults"), [(201, 1, 0), (201, 0, 1), (201, 2, 1), (None, 0, 0), (None, 2, 1)]
)
def test_versions_are_counted(status: int | None, count: int, faults: int) -> None:
    assert len(list(judging.not_once([change(attempt(0, status))], {"s": count}))) == faults


@pytest.mark.parametrize(
    ("tenures", "faults"),
    [
        ([(1, 1, 0, 5), (1, 2, 5, None), (2, 1, 0, None)], 0),
        ([(1, 1, 0, 6), (1, 2, 5, None)], 1),
        ([(1, 1, 0, None), (1, 2, 5, None)], 1),
    ],
)
def test_two_at_once_in_production_are_found(tenures: list[tuple[int, int, int, int | None]], faults: int) -> None:
    assert len(list(judging.overlaps(tenures))) == faults


@pytest.mark.parametrize(("seen", "faults"), [([0, 1, 2], 0), ([0, 2], 2), ([0, 1], 1), ([0, 1, 1, 2], 1)])
def test_what_a_follower_missed_is_found(seen: list[int], faults: int) -> None:
    assert len(list(judging.missed(seen, 3))) == faults
