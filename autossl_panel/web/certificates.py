"""The Certificates tab: every site with its certificate, and when they expire."""

from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from autossl_panel.autossl.standstill import account_in_use
from autossl_panel.hosting import visible
from autossl_panel.hosting.models import SiteState

from . import access, charts, nothing, seeking, shell, site_table
from .paging import paginate
from .site_table import Filter, Numbers


@require_safe
@access.operator
def certificates(request: access.PanelRequest) -> HttpResponse:
    """The timeline and the table; for htmx, the cells of the rows that are shown, while a run changes them."""
    now = access.now()
    mine = visible.virtual_hosts(request.user)
    wish = Filter.of(request)
    counts = site_table.numbers(mine, now)
    soon = site_table.expiring(mine, now)
    matching = site_table.narrowed(mine, wish, counts, soon, now)
    if wish.q:
        matching = seeking.by_anything(matching, wish.q)
    ids = site_table.ordered(matching, wish.sort).values_list("pk", flat=True)
    # What words find is read at once, up to a limit: counting it would look at every site.
    found = list(ids[: seeking.FEW + 1]) if wish.q else None
    paging = paginate(request, ids if found is None else found[: seeking.FEW], total=_known(wish, counts, soon))
    server = access.server(request) if request.htmx else shell.counted_server(request)
    account = account_in_use(server)
    rows = site_table.rows(site_table.page_of(paging.rows), soon, now, disabled=account is None)
    slot = shell.slot(request.user, server, account=account)
    if request.htmx:
        cells = {"rows": rows, "tiles": _tiles(counts)}
        return render(request, "_site_cells.html", cells, status=200 if slot.live else shell.STOP_POLLING)
    context = {
        "wish": wish,
        "counts": counts,
        "tiles": _tiles(counts),
        "soon": len(soon),
        "timeline": charts.expiry(counts.days, now.date(), disabled=account is None) if counts.days else None,
        "paging": paging,
        "searched": nothing.searched(
            wish, counts.present, lambda wider: site_table.narrowed(mine, wider, counts, soon, now).count()
        ),
        "more": found is not None and len(found) > seeking.FEW,
        "rows": rows,
        "oob": False,
        "sorts": site_table.SORT_WORDS,
    }
    return shell.page(request, "certificates.html", "certificates", context, known=slot)


def _known(wish: Filter, counts: Numbers, soon: set[int]) -> int | None:
    """How many sites match, where that is counted already."""
    if wish.q or wish.user or (wish.state and wish.more):
        return None
    more = {"expired": counts.expired, "expiring": len(soon), "held": counts.held, "due": counts.due}
    if wish.more:
        return more[wish.more]
    return counts.states.get(wish.state, 0) if wish.state else counts.present


TILES = {
    SiteState.SECURED: ("ok", "is-ok"),
    SiteState.PARTLY: ("partly", "is-warn"),
    SiteState.UNSECURED: ("bad", "is-bad"),
    SiteState.FOREIGN: ("foreign", "is-foreign"),
    SiteState.OFF: ("off", ""),
    SiteState.GONE: ("gone", ""),
}


@dataclass(frozen=True, slots=True)
class Tile:
    """A number that filters the table."""

    state: str
    label: str
    n: int
    sign: str
    css: str


def _tiles(counts: Numbers) -> list[Tile]:
    """The states with their numbers; what is gone only where something is."""
    tiles = [
        Tile(state.value, str(state.label), counts.states.get(state, 0), sign, css)
        for state, (sign, css) in TILES.items()
    ]
    return [tile for tile in tiles if tile.n or tile.state != SiteState.GONE]
