"""The comparison of providers: what each says and what was measured here, side by side; and where scores come from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, npgettext, pgettext

from autossl_panel.autossl import offers, scoring
from autossl_panel.autossl.ledger import Kind
from autossl_panel.autossl.limits import limits_of
from autossl_panel.autossl.models import Provider
from autossl_panel.autossl.scoring import Criterion, Needs, Offer

from . import words
from .provider_rows import Board, Row

# ACME's names of the ways to prove a name (RFC 8555 §8, RFC 8737)
METHODS = {"http": "HTTP", "dns": "DNS", "tls-alpn": "TLS-ALPN"}
DELIVERY = {
    "seconds": gettext_lazy("seconds"),
    "minutes": gettext_lazy("minutes"),
    "hours": gettext_lazy("hours"),
}
CRITERIA = {
    Criterion.NAMES: gettext_lazy("Names that fit"),
    Criterion.LIMITS: gettext_lazy("Limits on orders"),
    Criterion.DELIVERY: gettext_lazy("Delivery"),
    Criterion.RENEWAL: gettext_lazy("Renewal hints (ARI)"),
    Criterion.OUTAGES: gettext_lazy("Outages"),
    Criterion.BINDING: gettext_lazy("Account without a key of the CA"),
    Criterion.WILDCARDS: gettext_lazy("Wildcards"),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a column; `dim` where it is not known, `small` behind the text."""

    text: str
    small: str = ""
    dim: bool = False
    current: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A property of every provider."""

    label: str
    cells: Sequence[Cell]


def table(board: Board) -> list[Line]:
    """The comparison, line by line; the columns are the board's rows."""
    lines: list[tuple[str, Callable[[Row], tuple[str, str] | str]]] = [
        (_("Score"), _score),
        (_("Proof (DCV)"), lambda row: ", ".join(METHODS.get(way, way) for way in row.provider.stated.get("dcv", ()))),
        (_("Wildcard"), _wildcard),
        (_("Names per certificate"), lambda row: str(row.provider.max_names)),
        (_("Validity"), _validity),
        (_("Delivery here"), _measured),
        (_("Delivery stated"), lambda row: str(DELIVERY.get(row.provider.stated.get("delivery", ""), ""))),
        (_("Redirects followed"), lambda row: _text(row.provider.stated.get("redirects"))),
        (_("Renewal hints (ARI)"), _ari),
        ("EAB", _eab),
        (_("New orders"), lambda row: limit_words(row.provider, Kind.ORDERS)),
        (_("Certificates of a domain"), lambda row: limit_words(row.provider, Kind.DOMAIN)),
        (_("Names it takes"), lambda row: _("Any (private CA)") if row.provider.private_ca else _("Public")),
    ]
    return [Line(label, [_cell(row, say(row)) for row in board.rows]) for label, say in lines]


def _cell(row: Row, said: tuple[str, str] | str) -> Cell:
    text, small = said if isinstance(said, tuple) else (said, "")
    if not text:
        return Cell(small or _("not stated"), dim=True, current=row.provider.active)
    return Cell(text, small, current=row.provider.active)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _not_contacted(provider: Provider) -> bool:
    """Whether its directory was never read: one that was asked in vain has said nothing."""
    return not offers.was_read(provider)


def _score(row: Row) -> tuple[str, str]:
    if row.score is None:
        return "", _("for trials") if row.trial else _("not reached")
    return str(row.score.points), _("of 100")


def _wildcard(row: Row) -> str:
    stated = row.provider.stated.get("wildcard")
    return "" if stated is None else _("Yes, by DNS") if stated else _("No")


def _validity(row: Row) -> tuple[str, str]:
    """“90 days”, with the profiles that the directory offers: those known say how long."""
    provider = row.provider
    days = provider.stated.get("validity_days")
    usual = npgettext("a lifetime", "%(n)d day", "%(n)d days", days) % {"n": days} if days else ""
    known = provider.stated.get("profiles", {})
    offered = [_profile(name, known.get(name, {}).get("seconds")) for name in provider.profiles]
    return usual or (_("by profile") if offered else ""), ", ".join(offered)


def _profile(name: str, seconds: int | None) -> str:
    return f"{name} ({lifetime(seconds)})" if seconds else name


def lifetime(seconds: float) -> str:
    """How long a certificate lives: in days, short ones in hours."""
    days = seconds / 86400
    if days < 10 or days != round(days):
        hours = round(seconds / 3600)
        return ngettext("%(n)d hour", "%(n)d hours", hours) % {"n": hours}
    return npgettext("a lifetime", "%(n)d day", "%(n)d days", round(days)) % {"n": round(days)}


def took(seconds: float) -> str:
    """“2.1 s”, “4 min 10 s”."""
    return _("%(n)s s") % {"n": formats.number_format(seconds, 1)} if seconds < 10 else words.duration(seconds)


def _measured(row: Row) -> tuple[str, str]:
    measured = (row.account.measured if row.account is not None else None) or {}
    if measured.get("seconds") is None:
        return "", _("not measured")
    return took(measured["seconds"]), _("of %(n)d") % {"n": measured["issued"]}


def _ari(row: Row) -> tuple[str, str] | str:
    if _not_contacted(row.provider):
        return "", _("not contacted")
    return _("Yes") if row.provider.renewal_info_url else _("No")


def _eab(row: Row) -> tuple[str, str] | str:
    stated = row.provider.stated
    needed = row.provider.eab_required or bool(stated.get("eab"))
    if needed and stated.get("eab_days"):
        return _("Once, within %(n)d days") % {"n": stated["eab_days"]}
    if needed:
        return _("Needed")
    if "eab" not in stated and _not_contacted(row.provider):
        return "", _("not contacted")
    return _("Not needed")


def limit_words(provider: Provider, kind: Kind) -> str:
    """“300 in 3 hours”; “none” where a person said so, "" where nothing is known."""
    found = limits_of(provider)
    limit = next((one for one in found if one.kind is kind), None)
    if limit is not None:
        return _("%(n)d in %(time)s") % {"n": limit.number, "time": window(limit.seconds)}
    return pgettext("a limit", "none") if found or provider.limits is not None else ""


def window(seconds: int) -> str:
    """A window in the largest unit that it is a multiple of: “3 hours”, “7 days”, “1 second”."""
    if seconds % 86400 == 0:
        return ngettext("%(n)d day", "%(n)d days", seconds // 86400) % {"n": seconds // 86400}
    if seconds % 3600 == 0:
        return ngettext("%(n)d hour", "%(n)d hours", seconds // 3600) % {"n": seconds // 3600}
    if seconds % 60 == 0:
        return ngettext("%(n)d minute", "%(n)d minutes", seconds // 60) % {"n": seconds // 60}
    return ngettext("%(n)d second", "%(n)d seconds", seconds) % {"n": seconds}


# ---- where the scores come from


def scores(board: Board) -> list[Line]:
    """Each criterion with every provider's points for it, and why."""
    return [
        Line(
            _("%(name)s, %(n)d points") % {"name": CRITERIA[criterion], "n": points},
            [_points(row, criterion, board.needs) for row in board.rows if row.score is not None],
        )
        for criterion, points in scoring.POINTS.items()
    ]


def _points(row: Row, criterion: Criterion, needs: Needs) -> Cell:
    assert row.score is not None
    assert row.offer is not None
    part = next(part for part in row.score.parts if part.criterion is criterion)
    why = WHY[criterion](row.offer, needs)
    return Cell(str(part.points), why, dim=not part.known, current=row.provider.active)


def _why_names(offer: Offer, needs: Needs) -> str:
    if offer.private > offer.over:
        return ngettext(
            "%(private)d of %(n)d site has names that are not public",
            "%(private)d of %(n)d sites have names that are not public",
            needs.sites,
        ) % {"private": offer.private, "n": needs.sites}
    if not offer.over:
        return _("all fit")
    return ngettext(
        "%(over)d of %(n)d site would lose names", "%(over)d of %(n)d sites would lose names", needs.sites
    ) % {"over": offer.over, "n": needs.sites}


def _why_limits(offer: Offer, needs: Needs) -> str:
    days = scoring.days_to_move(offer, needs)
    if days is None:
        return _("not stated")
    if offer.orders_a_day == float("inf"):
        return pgettext("a limit", "none")
    if days > 3650:
        return _("this server could never be moved")
    return _("moves this server within %(time)s") % {"time": words.rough(max(days * scoring.DAY, 60))}


def _why_delivery(offer: Offer, _needs: Needs) -> str:
    if offer.seconds is not None:
        return _("measured: %(time)s") % {"time": took(offer.seconds)}
    return _("stated: %(time)s") % {"time": DELIVERY[offer.says]} if offer.says in DELIVERY else _("not known")


def _why_renewal(offer: Offer, _needs: Needs) -> str:
    return _("not contacted") if offer.ari is None else _("yes") if offer.ari else _("no")


def _why_outages(offer: Offer, _needs: Needs) -> str:
    if offer.down:
        return _("it fails now")
    if not offer.placed:
        return _("no order yet")
    if not offer.failed:
        return ngettext("%(n)d order in 30 days, not lost", "%(n)d orders in 30 days, none lost", offer.placed) % {
            "n": offer.placed
        }
    text = ngettext(
        "%(failed)d of %(n)d order in 30 days came to nothing",
        "%(failed)d of %(n)d orders in 30 days came to nothing",
        offer.placed,
    )
    return text % {"failed": offer.failed, "n": offer.placed}


def _why_binding(offer: Offer, _needs: Needs) -> str:
    return _("not known") if offer.bound is None else _("no key is missing") if offer.bound else _("needs a key (EAB)")


def _why_wildcards(offer: Offer, needs: Needs) -> str:
    if not needs.wildcards:
        return _("no site here has one")
    return _("not stated") if offer.wildcard is None else _("issued") if offer.wildcard else _("not issued")


WHY: dict[Criterion, Callable[[Offer, Needs], str]] = {
    Criterion.NAMES: _why_names,
    Criterion.LIMITS: _why_limits,
    Criterion.DELIVERY: _why_delivery,
    Criterion.RENEWAL: _why_renewal,
    Criterion.OUTAGES: _why_outages,
    Criterion.BINDING: _why_binding,
    Criterion.WILDCARDS: _why_wildcards,
}
