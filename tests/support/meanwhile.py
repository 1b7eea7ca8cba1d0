"""Two transactions that meet: one pauses in the midst of its work until the other has ended or waits for a lock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from django.db import connection

# By then whoever has not ended waits for a lock
SECONDS = 1.0


def meanwhile(first: Callable[[Callable[[], None]], Any], then: Callable[[], Any]) -> tuple[Any, Any]:
    """Do `first`. It is given what it calls in the midst of a transaction: `then` is begun there, and by its return has
    ended or waits for a lock. What both returned or raised.
    """
    begun, ended = threading.Event(), threading.Event()
    results: list[Any] = [None, None]

    def do(number: int, work: Callable[[], Any]) -> None:
        try:
            results[number] = work()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results[number] = error
        finally:
            (begun if number == 0 else ended).set()
            connection.close()

    def pause() -> None:
        begun.set()
        ended.wait(SECONDS)

    def one() -> Any:
        return first(pause)

    def other() -> Any:
        begun.wait()
        return then()

    threads = [threading.Thread(target=do, args=args) for args in ((0, one), (1, other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results[0], results[1]


def pausing_after(write: str, work: Callable[[], Any]) -> Callable[[Callable[[], None]], Any]:
    """`work`, which pauses after its first statement that begins so."""

    def paused(pause: Callable[[], None]) -> Any:
        met = False

        def wrapper(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
            nonlocal met
            result = execute(sql, params, many, context)
            if not met and sql.startswith(write):
                met = True
                pause()
            return result

        with connection.execute_wrapper(wrapper):
            found = work()
        assert met, f"no statement began with {write}"
        return found

    return paused
