"""First come, first served."""

from __future__ import annotations

import threading

import pytest

from musiscene.errors import Stopped
from musiscene.ui.turnstile import Turnstile


def test_waiting_people_know_their_place_and_go_in_order() -> None:
    """With one place, the second is told 1, the third 2 and then 1."""
    turnstile, order, places = Turnstile(1), [], {2: [], 3: []}
    inside, leave = threading.Event(), threading.Event()
    waiting = {number: threading.Event() for number in (2, 3)}

    def person(number: int) -> None:
        def told(ahead: int) -> None:
            places[number].append(ahead)
            waiting[number].set()

        with turnstile.turn(threading.Event(), told):
            order.append(number)
            if number == 1:
                inside.set()
                leave.wait(10)

    threads = [threading.Thread(target=person, args=(number,)) for number in (1, 2, 3)]
    threads[0].start()
    inside.wait(10)
    threads[1].start()
    waiting[2].wait(10)
    threads[2].start()
    waiting[3].wait(10)
    leave.set()
    for thread in threads:
        thread.join(10)

    assert order == [1, 2, 3]
    assert places[2] == [1]
    assert places[3][0] == 2


def test_waiting_can_be_stopped_and_makes_room() -> None:
    """Who leaves the line does not keep a place."""
    turnstile, stop = Turnstile(1), threading.Event()
    with (
        turnstile.turn(threading.Event(), lambda ahead: None),
        pytest.raises(Stopped),
        turnstile.turn(stop, lambda ahead: stop.set()),
    ):
        pytest.fail("there was no place")
    with turnstile.turn(threading.Event(), lambda ahead: pytest.fail("nobody is before")):
        pass


def test_an_error_inside_gives_the_place_back() -> None:
    """The next one gets in."""
    turnstile = Turnstile(1)
    with pytest.raises(ZeroDivisionError), turnstile.turn(threading.Event(), lambda ahead: None):
        _ = 1 / 0
    with turnstile.turn(threading.Event(), lambda ahead: pytest.fail("the place was not given back")):
        pass
