"""The sample server: eight hosting users with 25 sites that show every behaviour, each with its expected end.

What a site must end as follows from the rules; nothing here reads what the panel did.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from autossl_panel.sandbox.sites import Existing, Kind, Points, Site

# The sandbox's provider takes so many names on one certificate, so that one site has more.
MAX_NAMES = 6
RESELLER = "nordhost"


@dataclass(frozen=True, slots=True)
class End:
    """How `autossl_status` must show a site, and what a handshake for each covered name must get."""

    state: str  # secured | partly | unsecured | foreign | off
    covered: tuple[str, ...] = ()
    problem: str | None = None
    issuer: str | None = None  # panel | bought: whose certificate the covered names show

    @property
    def served(self) -> bool:
        """Whether a certificate that the panel ordered is to be served."""
        return self.issuer == "panel"


@dataclass(frozen=True, slots=True)
class Case:
    """A site, its expected end with option replace_foreign off, and where that differs with it on."""

    site: Site
    end: End
    why: str
    end_replacing: End | None = None
    excluded: tuple[str, ...] = ()

    @property
    def user(self) -> str:
        return self.site.user

    @property
    def name(self) -> str:
        return self.site.name

    @property
    def names(self) -> tuple[str, ...]:
        return self.site.names

    def expected(self, *, replace_foreign: bool) -> End:
        """The end under this setting of the option."""
        return self.end_replacing if replace_foreign and self.end_replacing is not None else self.end


@dataclass(frozen=True, slots=True)
class User:
    """A hosting user: whose it is (None: root's), and whether AutoSSL may work for it."""

    login: str
    owner: str | None = None
    autossl: bool = True
    suspended: bool = False


USERS = (
    User("anna"),
    User("bruno"),
    User("clara"),
    User("dieter", autossl=False),
    User("elif", suspended=True),
    User("fatima"),
    User("goran", owner=RESELLER),
    User("hanna", owner=RESELLER),
)


def _secured(*covered: str) -> End:
    return End("secured", covered, issuer="panel")


def _with_www(name: str) -> tuple[str, str]:
    return name, f"www.{name}"


def _anna() -> Iterator[Case]:
    plain = _with_www("alpenblick.example")
    yield Case(Site("anna", plain), _secured(*plain), "plain HTTP, both names lead here")
    yield Case(
        Site("anna", ("bergsteiger-laden.example",)),
        _secured("bergsteiger-laden.example"),
        "www. is not in DNS and was never asked for: left out quietly",
    )
    added = _with_www("cafe-morgenrot.example")
    yield Case(
        Site("anna", added[:1], dns={added[1]: Points.HERE}),
        _secured(*added),
        "www. leads here but no block names it: the panel's snippet adds it",
    )
    idn = _with_www("xn--grne-kche-r9ae.example")
    yield Case(Site("anna", idn), _secured(*idn), "a name with umlauts, in A-labels")


def _bruno() -> Iterator[Case]:
    moved = _with_www("fahrrad-weber.example")
    yield Case(
        Site("bruno", moved, dns=dict.fromkeys(moved, Points.ELSEWHERE)),
        End("unsecured", problem="elsewhere"),
        "moved away: DNS leads to another server, which answers 404",
    )
    main = _with_www("gartenbau-lindner.example")
    shop = "shop.gartenbau-lindner.example"
    yield Case(
        Site("bruno", (*main, shop), dns={shop: Points.ELSEWHERE}),
        End("partly", main, "elsewhere", "panel"),
        "one of three names leads elsewhere: the others are secured",
    )
    club = _with_www("imkerei-wald.example")
    more = tuple(f"{label}.imkerei-wald.example" for label in ("blog", "forum", "honig", "mail", "shop", "termine"))
    yield Case(
        Site("bruno", (*club, *more)),
        # Its own name and www., then shorter names; service names such as mail. come last.
        End(
            "partly",
            (*club, *(f"{label}.imkerei-wald.example" for label in ("blog", "shop", "forum", "honig"))),
            "over_limit",
            "panel",
        ),
        f"eight names, and the provider takes {MAX_NAMES}",
    )


def _clara() -> Iterator[Case]:
    bought = _with_www("anwalt-kranz.example")
    yield Case(
        Site("clara", bought, existing=Existing.SOUND),
        End("foreign", bought, issuer="bought"),
        "a sound certificate bought elsewhere stays, whatever the options say",
    )
    defective = (
        ("druckerei-ott.example", Existing.EXPIRED, "foreign_defective", "an expired certificate bought elsewhere"),
        ("eisdiele-rialto.example", Existing.EXPIRING, "foreign_expiring", "a bought certificate with a day left"),
        (
            "fotostudio-licht.example",
            Existing.RSA_1024,
            "foreign_defective",
            "a bought certificate with a 1024-bit key",
        ),
    )
    for name, existing, problem, why in defective:
        names = _with_www(name)
        covered = names if existing is Existing.EXPIRING else ()
        yield Case(
            Site("clara", names, existing=existing),
            # One that secures nothing leaves the site unsecured, whoever put it there
            End("foreign" if covered else "unsecured", covered, problem, "bought"),
            f"{why}: kept with a warning unless AutoSSL may replace",
            end_replacing=_secured(*names),
        )
    placeholder = _with_www("gasthof-krone.example")
    yield Case(
        Site("clara", placeholder, existing=Existing.SELF_SIGNED),
        _secured(*placeholder),
        "a self-signed placeholder is nobody's purchase",
    )


def _off() -> Iterator[Case]:
    for name in ("hundeschule-pfote.example", "internetcafe-byte.example"):
        yield Case(Site("dieter", _with_www(name)), End("off"), "AutoSSL is disabled for this user")
    yield Case(Site("elif", _with_www("juwelier-stern.example")), End("off"), "the user is suspended")


def _fatima() -> Iterator[Case]:
    setups = (
        ("kletterhalle-nord.example", Kind.SPLIT, Existing.SELF_SIGNED, "redirects to HTTPS, with a block for TLS"),
        ("lesesaal.example", Kind.REDIRECT_ONLY, None, "redirects to HTTPS that it does not have yet"),
        ("musikschule-takt.example", Kind.OWN_CHALLENGE, None, "has a challenge location of another client"),
        ("naturheilpraxis.example", Kind.BASIC_AUTH, None, "asks everybody for a password"),
        ("optik-klar.example", Kind.DOTFILES_DENIED, None, "denies dotfiles and catches all by regular expressions"),
        ("pension-waldruh.example", Kind.PROXY, None, "passes everything to an application"),
    )
    for name, kind, existing, why in setups:
        names = _with_www(name)
        yield Case(Site("fatima", names, kind, existing), _secured(*names), why)


def _nordhost() -> Iterator[Case]:
    plain = _with_www("quartier-garten.example")
    yield Case(Site("goran", plain), _secured(*plain), "plain, a reseller's user")
    kept, excluded = _with_www("reitstall-birke.example"), "intern.reitstall-birke.example"
    yield Case(
        Site("goran", (*kept, excluded)),
        _secured(*kept),
        "one name is excluded, so nobody wants it",
        excluded=(excluded,),
    )
    lost = _with_www("segelclub-bucht.example")
    yield Case(
        Site("hanna", lost, dns=dict.fromkeys(lost, Points.NOWHERE)),
        End("unsecured", problem="no_address"),
        "no name has an address: all fail",
    )
    tools = _with_www("tischlerei-eiche.example")
    yield Case(Site("hanna", tools), _secured(*tools), "plain, another user of the same reseller")


CASES: tuple[Case, ...] = (*_anna(), *_bruno(), *_clara(), *_off(), *_fatima(), *_nordhost())
SITES: tuple[Site, ...] = tuple(case.site for case in CASES)
