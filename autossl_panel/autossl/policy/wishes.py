"""Which names: wished (what the site has, plus www), wanted (what can be asked for now). Rules §1."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from autossl_panel import names
from autossl_panel.autossl.facts import SiteFacts
from autossl_panel.autossl.policy.needs import PERSON_ENDS

# What only public CAs' rules say of a name
PUBLIC_ONLY = "not_public"


def wished_names(domains: Iterable[str], *, taken_elsewhere: Callable[[str], bool]) -> tuple[tuple[str, bool], ...]:
    """The wished names of a virtual host as (name, added by the panel), each www right after its domain.

    `domains` are in normal form; `taken_elsewhere` says whether another virtual host names it.
    """
    own = dict.fromkeys(domains)
    wished: dict[str, bool] = {}
    for domain in own:
        wished[domain] = False
        www = names.www_of(domain)
        if www is not None and www not in own and not taken_elsewhere(www):
            wished[www] = True
    return tuple(wished.items())


def not_wanted(
    name: str,
    unfit: str,
    *,
    added: bool = False,
    excluded: bool = False,
    private_ca: bool = False,
    serve_www: bool = True,
) -> str | None:
    """Why a wished name cannot be asked for now, as a code of the rules' table, else None.

    `unfit`: what public CAs' rules say of it (`names.not_public`), "" for nothing; a private CA has none, but it has to
    be a name. `added`: a www. that the panel added: it reaches the site's blocks where `serve_www` is on.
    """
    if excluded:
        return "excluded"
    if unfit and not (private_ca and unfit == PUBLIC_ONLY):
        return unfit
    if names.is_wildcard(name):
        # None is proven by http-01 (RFC 8555 §7.1.3), whatever the provider takes: no DNS is at hand.
        return "wildcard_unsupported"
    return "www_not_served" if added and not serve_www else None


def cleared_by_person(site: SiteFacts) -> SiteFacts:
    """The facts as a person's own check sees them: our retry ladder and stored refusals of names no longer hold.

    What the CA asked for (`held_until`) stands, unless it waits for a person to act there: that one has come.
    """
    cleared = tuple(replace(name, retry_at=None, refusals=()) for name in site.names)
    if site.held_reason in PERSON_ENDS:
        return replace(site, names=cleared, retry_at=None, held_until=None, held_reason=None, held_provider="")
    return replace(site, names=cleared, retry_at=None)
