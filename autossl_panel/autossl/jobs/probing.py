"""The right to find out whether a provider works again: one order at a time has it, of all processes."""

from .. import leases
from ..choosing import probe_lease
from .work import Task

# Seconds; longer than one order keeps a thread that is not told to stop
LASTS = 300.0


def may_probe(task: Task, account: int) -> bool:
    """Take that right for a task, which keeps it until its thread is through with it; False where another has it."""
    name, holder = probe_lease(account), leases.new_holder()
    if task.probe is not None and task.probe[0] == name:
        return True
    if not leases.take(name, holder, LASTS):
        return False
    give_back(task)
    task.probe = name, holder
    return True


def give_back(task: Task) -> None:
    """What came of it stands on the account's row."""
    if task.probe is not None:
        leases.release(*task.probe)
        task.probe = None
