"""Facts of a problem as words for its sentences, in the language that is active."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from .causes import many
from .spoken import spoken

Facts = Mapping[str, Any]
# What the sentences name, with words in place of what is not known, and whom they are for (`readers.Reader`)
Words = dict[str, str]


def sentences(*found: str) -> str:
    """The sentences that are not empty, one after the other."""
    return " ".join(filter(None, found))


def again() -> str:
    """That nobody has to do anything for the next try."""
    return _("AutoSSL tries again by itself.")


def text(data: Facts, key: str) -> str:
    """A fact as text; "" where it is not known."""
    value = data.get(key)
    if isinstance(value, list | tuple):
        return _(" or ").join(str(item) for item in value)
    return "" if value is None else spoken(str(value))


def listed(items: Sequence[str]) -> str:
    """“a”, “a and b”, “a, b and c”."""
    if len(items) < 2:
        return "".join(items)
    return _("%(some)s and %(last)s") % {"some": ", ".join(items[:-1]), "last": items[-1]}


def away(data: Facts) -> list[str]:
    """The addresses that a name has and that are not this server's; none where they are not known."""
    return many(data, "from") or many(data, "address")


def record(data: Facts) -> str:
    """The type of the address record: as an address that is known has it."""
    return next(("AAAA" if ":" in address else "A" for address in away(data)), "") or text(data, "record") or "A"


def words(data: Facts) -> Words:
    """Everything that a sentence may name."""
    address = text(data, "address")
    strangers = listed(away(data))
    return {
        **{key: text(data, key) for key in ("alias", "cdn", "detail", "pattern", "reason", "to", "zone")},
        "name": text(data, "name") or _("The name"),
        "address": address,
        "away": strangers,
        "at": f" ({strangers})" if strangers else "",
        "hop": text(data, "hop_address") or address or _("The server"),
        "record": record(data),
        "answerer": _answerer(data),
        "status": text(data, "status") or _("an error"),
        "url": url(data) or _("the file that the CA asks for"),
        "answered": _answered(data),
        "asked": _asked(data),
        "day": day(text(data, "not_after")),
    }


def day(moment: str) -> str:
    """The day of an ISO moment in the zone that is active, as the language writes it: “16 Nov 2026”; "" for none."""
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        return ""
    here = timezone.localtime(at) if timezone.is_aware(at) else at
    return date_format(here.date(), pgettext("date format", "j M Y"))


def url(data: Facts) -> str:
    """The URL, without the random token: the file is gone when somebody reads this; "" where it is not known."""
    before, path, _rest = text(data, "url").partition("/.well-known/acme-challenge/")
    return before + path


def _answerer(data: Facts) -> str:
    """“openresty at 192.0.2.7”, as the beginning of a sentence."""
    server, address = text(data, "server") or _("The web server"), text(data, "address")
    return _("%(server)s at %(address)s") % {"server": server, "address": address} if address else server


def _answered(data: Facts) -> str:
    """“ (status 403 from openresty)”, or nothing."""
    status, server = text(data, "status"), text(data, "server")
    if status and server:
        return " " + _("(status %(status)s from %(server)s)") % {"status": status, "server": server}
    return " " + _("(status %(status)s)") % {"status": status} if status else ""


def _asked(data: Facts) -> str:
    """What the nameservers were asked for."""
    name = text(data, "name") or _("the name")
    if text(data, "record") == "CAA":
        return _("the CAA records of %(name)s") % {"name": text(data, "target") or name}
    return name
