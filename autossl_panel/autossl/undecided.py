"""Sites that the rules cannot be asked about, because of an error of our own: each is told by itself and holds up
nobody else. What the database says is of no single site, and goes to whoever asked.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from django.db import DatabaseError

from autossl_panel.hosting.models import Severity, SiteState, VirtualHost

from . import problems, sites
from .facts import UNDECIDED
from .sites import Given, Site

log = logging.getLogger("autossl_panel.undecided")
T = TypeVar("T")

CODE = UNDECIDED
# In the place of a digest of its problems: whoever decides the site again writes them anew
SEEN = "internal"


def read(
    ids: Iterable[int], options: Given, now: datetime, *, serve_www: bool, whole: bool = True
) -> tuple[dict[int, Site], dict[int, Exception]]:
    """As `sites.read`, and beside it those of these virtual hosts whose rows make no facts, with why.

    What keeps the server's own options from being read is of no site, and raised.
    """
    wanted = list(ids)
    try:
        return sites.read({"pk__in": wanted}, options, now, serve_www=serve_www, whole=whole), {}
    except DatabaseError:
        raise
    except Exception as error:
        if not wanted:
            raise
        if callable(options):
            options(())
        if len(wanted) == 1:
            log.exception("virtual host %s cannot be read", wanted[0])
            return {}, {wanted[0]: bare(error)}
    half = len(wanted) // 2
    found, errors = read(wanted[:half], options, now, serve_www=serve_www, whole=whole)
    more, further = read(wanted[half:], options, now, serve_www=serve_www, whole=whole)
    return found | more, errors | further


def read_where(
    hosts: Mapping[str, Any], options: Given, now: datetime, *, serve_www: bool
) -> tuple[dict[int, Site], dict[int, Exception]]:
    """As `sites.read` of what `hosts` names, with its questions alone where all make facts; and beside it as `read`."""
    try:
        return sites.read(hosts, options, now, serve_www=serve_www), {}
    except DatabaseError:
        raise
    except Exception as error:  # noqa: BLE001 - it is told of the very site, or raised again
        log.warning("of many virtual hosts something raised %s", repr(error))
    ids = VirtualHost.objects.filter(**hosts).order_by("user_id", "pk").values_list("pk", flat=True)
    return read(ids, options, now, serve_www=serve_www, whole=False)


def of_each(found: Mapping[int, Site], ask: Callable[[Site], T], errors: dict[int, Exception]) -> dict[int, T]:
    """What `ask` says of each site; where it raises, the error is put to `errors`."""
    said = {}
    for host, site in found.items():
        try:
            said[host] = ask(site)
        except DatabaseError:
            raise
        except Exception as error:
            log.exception("virtual host %s, %s", host, site.row["name"])
            errors[host] = bare(error)
    return said


def bare(error: Exception) -> Exception:
    """The error without where it was raised: the frames there hold all the sites that were read with it."""
    error.__context__ = error.__cause__ = None
    return error.with_traceback(None)


def problem_of(name: str, error: Exception) -> dict[str, Any]:
    """The error as it stands on a job or virtual host."""
    return {"code": CODE, "domain": name, "data": {"text": f"{type(error).__name__}: {error}"[:500]}}


def note(errors: Mapping[int, Exception], now: datetime, *, since: datetime | None = None) -> None:
    """Write to these virtual hosts that they cannot be decided: the next daily check tries again, or what changes them.

    The caller has their rows locked. One that has come due after `since` was made so after it was read, and stays due.
    """
    for host in VirtualHost.objects.filter(pk__in=errors).order_by("pk"):
        problem = problem_of(host.name, errors[host.pk])
        problems.write_whole(host, problem, now)
        held = host.state in (SiteState.SECURED, SiteState.PARTLY)
        anew = since is not None and host.next_at is not None and since < host.next_at <= now
        VirtualHost.objects.filter(pk=host.pk).update(
            problem=problem,
            problems_seen=SEEN,
            severity=Severity.HELD if held else host.severity,
            next_at=host.next_at if anew else None,
            next_reason=host.next_reason if anew else CODE,
        )
