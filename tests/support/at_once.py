"""Two persons who do the same at once: both have looked for a name before either takes it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection

# Who looks only while the other waits for the database never meets it.
SECONDS = 1


def at_once(name: str, works: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do all of `works`, each in a thread of its own that stops after its first SELECT for `name`, until each is there.

    Returns what they returned or raised, in their order.
    """
    barrier = threading.Barrier(len(works))
    results: list[Any] = [None] * len(works)

    def do(number: int) -> None:
        met = False

        def wrapper(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
            nonlocal met
            result = execute(sql, params, many, context)
            if not met and sql.startswith("SELECT") and name in (params or ()):
                met = True
                with contextlib.suppress(threading.BrokenBarrierError):
                    barrier.wait(SECONDS)
            return result

        try:
            with connection.execute_wrapper(wrapper):
                results[number] = works[number]()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=do, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
