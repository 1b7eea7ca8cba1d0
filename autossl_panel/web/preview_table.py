"""The table of the Preview page: filters, tiles, and what each row says. Which rows there are is the heart's to say."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from autossl_panel.autossl import log, preview_told
from autossl_panel.autossl.log.words import REASONS
from autossl_panel.autossl.models import Preview, PreviewAction, PreviewSite, Provider
from autossl_panel.hosting import name_search
from autossl_panel.hosting.models import VirtualHost
from autossl_panel.names import part_sought, to_unicode
from autossl_panel.people.models import User

from .access import PanelRequest

# Sign and colour of each action, in the order of the tiles
ACTIONS: Mapping[str, tuple[str, str]] = {
    PreviewAction.ORDER: ("plus", "is-ok"),
    PreviewAction.RENEW: ("again", "is-ok"),
    PreviewAction.EXTEND: ("plus", "is-ok"),
    PreviewAction.INSTALL: ("down-to", "is-ok"),
    PreviewAction.RESUME: ("right", "is-ok"),
    PreviewAction.FAIL: ("bad", "is-bad"),
    PreviewAction.DEFER: ("clock", "is-warn"),
    PreviewAction.WAIT: ("clock", "is-warn"),
    PreviewAction.BUSY: ("play", "dim"),
    PreviewAction.KEEP: ("ok", "dim"),
    PreviewAction.SKIP: ("off", "dim"),
}
# Shown with nothing in them, too: what people look for first
ALWAYS = frozenset(
    {PreviewAction.ORDER, PreviewAction.RENEW, PreviewAction.DEFER, PreviewAction.WAIT, PreviewAction.KEEP}
)

WITHOUT_A_MOMENT: Mapping[str, object] = {
    PreviewAction.WAIT: gettext_lazy("not known"),
    PreviewAction.FAIL: gettext_lazy("again later"),
    PreviewAction.KEEP: gettext_lazy("not now"),
}
TRIED_AGAIN = (PreviewAction.WAIT, PreviewAction.FAIL)
AT_ONCE = (PreviewAction.INSTALL, PreviewAction.RESUME, PreviewAction.BUSY)
# What is done within a minute is done now
SOON = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the address says about which rows to show."""

    q: str
    action: str

    @classmethod
    def of(cls, request: PanelRequest) -> "Wish":
        """Read it from the query string; what means nothing is left out."""
        action = request.GET.get("action", "")
        return cls(q=request.GET.get("q", "").strip()[:253], action=action if action in PreviewAction.values else "")

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self.action)


@dataclass(frozen=True, slots=True)
class Tile:
    """An action to filter by, with its number."""

    action: str
    label: str
    n: int
    sign: str
    css: str


@dataclass(frozen=True, slots=True)
class Name:
    """A name of a site, and what would become of it."""

    text: str
    sign: str
    css: str
    becomes: str


@dataclass(frozen=True, slots=True)
class Row:
    """A site as the table shows it."""

    site: PreviewSite
    action: str
    sign: str
    css: str
    has: int
    of: int
    names: tuple[Name, ...]
    why: str
    provider: str
    at: datetime | None
    about: bool
    now: bool
    # Without a moment
    when: str


def title(scope: str) -> str:
    """“Preview of a run for all users”."""
    return _("Preview of a run for %(scope)s") % {"scope": log.scope_text(scope)}


def counts(found: Preview, rows: QuerySet[PreviewSite], person: User) -> dict[str, int]:
    """How many sites there are of each action; counted anew where not all of them are the person's to see."""
    if person.is_root:
        return {str(action): n for action, n in found.counts.items()}
    return dict(rows.order_by().values_list("action").annotate(n=Count("pk")))


def tiles(numbers: Mapping[str, int]) -> list[Tile]:
    """The actions that there are, in the order of the work."""
    return [
        Tile(action, str(PreviewAction(action).label), numbers.get(action, 0), sign, css)
        for action, (sign, css) in ACTIONS.items()
        if numbers.get(action) or action in ALWAYS
    ]


def narrowed(rows: QuerySet[PreviewSite], wish: Wish) -> QuerySet[PreviewSite]:
    """The rows that match a filter."""
    if wish.action:
        rows = rows.filter(action=wish.action)
    if wish.q:
        text = wish.q.lower()
        # Words of the reasons as the person reads them
        meant = [code for code, words in REASONS.items() if text in str(words).lower()]
        named_so = Q(virtual_host__in=name_search.read_as(wish.q).values("virtual_host"))
        said = Q(words__contains=part_sought(wish.q)) | Q(user__name__icontains=wish.q) | Q(reason__in=meant)
        rows = rows.filter(named_so | said)
    return rows


def rows(found: Iterable[PreviewSite], of: Preview) -> list[Row]:
    """What the table says of the sites of one page."""
    called = {one.name: str(one) for one in Provider.objects.only("name", "display_name")}
    sites = list(found)
    open_ended = [site.virtual_host_id for site in sites if site.action in TRIED_AGAIN and site.until is None]
    # When it is tried again the site knows, as Pending tells it
    ahead = VirtualHost.objects.filter(pk__in=open_ended, next_at__gt=of.at or of.asked_at) if open_ended else None
    next_at = dict(ahead.values_list("pk", "next_at")) if ahead is not None else {}
    return [_row(site, called, of, next_at.get(site.virtual_host_id)) for site in sites]


def _row(site: PreviewSite, called: Mapping[str, str], of_preview: Preview, next_at: datetime | None) -> Row:
    sign, css = ACTIONS[site.action]
    if site.urgent and site.provider:
        sign, css = "bad", "is-bad"
    elif site.reason.startswith("foreign"):
        sign, css = "foreign", "is-foreign"
    has, of = preview_told.covered(site)
    soon = site.provider and site.done_at and of_preview.at and site.done_at - of_preview.at < SOON
    return Row(
        site=site,
        action=_action(site),
        sign=sign,
        css=css,
        has=has,
        of=of,
        names=tuple(_names(site)),
        why=preview_told.why(site, called),
        provider=called.get(site.provider, site.provider),
        at=site.until or (site.done_at if site.provider else None) or next_at,
        about=bool(site.provider) and site.until is None,
        now=bool(soon) or site.action in AT_ONCE,
        when=str(WITHOUT_A_MOMENT.get(site.action, _("never"))),
    )


def _action(site: PreviewSite) -> str:
    if site.action == PreviewAction.ORDER:
        return _("Order, urgent") if site.urgent else _("Order, new")
    if site.action == PreviewAction.RENEW and site.urgent:
        return _("Renew, urgent")
    return str(site.get_action_display())


def _names(site: PreviewSite) -> Iterable[Name]:
    said = site.names
    failing = dict(said.get("failing", ()))
    unproven = set(said.get("unproven", ()))
    for name in said.get("kept", ()):
        if name in failing:
            yield Name(
                to_unicode(name),
                "warn",
                "is-warn",
                _("covered, fails: %(why)s") % {"why": log.reason_text(failing[name])},
            )
        else:
            yield Name(to_unicode(name), "ok", "is-ok", _("stays covered") if site.provider else _("covered"))
    for name in said.get("added", ()):
        text = _("added; never checked yet") if name in unproven else _("added")
        yield Name(to_unicode(name), "plus", "is-ok", text)
    dropped = set(said.get("dropped", ()))
    for name, code in said.get("left_out", ()):
        why = log.reason_text(code) if code else _("not covered")
        if name in dropped:
            yield Name(to_unicode(name), "warn", "is-warn", _("no longer covered: %(why)s") % {"why": why})
        else:
            yield Name(to_unicode(name), "out", "dim", _("left out: %(why)s") % {"why": why} if code else why)
