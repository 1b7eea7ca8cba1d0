"""The settings of the Options tab: read, checked and changed here, whoever asks."""

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time
from ipaddress import ip_address
from typing import Any

from django.db import transaction
from django.db.models import Max, Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting.models import Server, SiteState, VirtualHost
from autossl_panel.people import audit, mail
from autossl_panel.people.models import Role, User

from . import policy
from .models import NotifyLevel, Options, SecondFactorRule
from .models.providers import KEY_TYPES

MOST_ADDRESSES = 20
# int() takes no text of any length
LONGEST_NUMBER = 18


class OptionProblem(ValueError):
    """A value that cannot be taken; `field` is the option's name."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.text = text


def current(server: Server) -> Options:
    """The options of a server, with their defaults where nobody has set them."""
    rows = Options.objects.select_related("paused_by")
    return rows.get_or_create(server=server, defaults={"daily_at": _drawn_time()})[0]


def _drawn_time() -> time:
    """A minute between two and five in the morning, drawn once for each server: CAs are not asked all at once."""
    minute = secrets.randbelow(180)
    return time(2 + minute // 60, minute % 60)


ROLES = {
    SecondFactorRule.NOBODY: frozenset[str](),
    SecondFactorRule.ROOT: frozenset({Role.ROOT}),
    SecondFactorRule.OPERATORS: frozenset({Role.ROOT, Role.RESELLER}),
    SecondFactorRule.EVERYBODY: frozenset(Role.values),
}


def second_factor_roles() -> frozenset[str]:
    """The roles that need a second factor to sign in: persons belong to no server, so the strictest rule holds."""
    rules = Options.objects.exclude(second_factor=SecondFactorRule.NOBODY).values_list("second_factor", flat=True)
    return frozenset().union(*(ROLES[SecondFactorRule(rule)] for rule in rules))


def audit_days() -> int:
    """How long entries of the audit trail are kept: they belong to no server, so the longest wish holds."""
    longest: int | None = Options.objects.aggregate(longest=Max("audit_days"))["longest"]
    return longest if longest is not None else Options.audit_days.field.default


def change(
    server: Server, values: Mapping[str, Any], *, by: User | None, was: Mapping[str, str] | None = None
) -> Options:
    """Check all `values` (texts as typed, lists or booleans), then save them together; a problem saves nothing.

    Another key type ends an earlier `reissue`: what was confirmed was the re-issue with that one. `was`: what who asks
    took the options to be (`texts`); raises OptionProblem where one of `values` is another by now.
    """
    clean = check(values)
    with transaction.atomic():
        current(server)
        row = Options.objects.select_for_update().get(server=server)
        replaced, before = row.replace_foreign, texts(row)
        other = next((field for field in values if was is not None and before[field] != was[field]), None)
        if other is not None:
            raise OptionProblem(other, _("This was changed meanwhile. Look at it once more."))
        if clean.get("key_type", row.key_type) != row.key_type:
            clean.setdefault("reissue", False)
        for field, value in clean.items():
            setattr(row, field, value)
        row.save(update_fields=list(clean) or None)
        if row.replace_foreign and not replaced:
            _look_again(server)
        audit.record(by, "options:changed", server.name, before=before, after=texts(row))
    return row


def check(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they would be saved. Raises OptionProblem for the first that cannot be taken."""
    clean = {}
    for field, value in values.items():
        reader = READERS.get(field)
        if reader is None:
            text = _("There is no option “%(name)s”. There are: %(names)s.")
            raise OptionProblem(field, text % {"name": field, "names": ", ".join(READERS)})
        clean[field] = reader(field, value)
    return clean


def pause(server: Server, *, by: User | None, now: datetime) -> bool:
    """Order and install nothing on this server until somebody resumes; False where it was paused already."""
    current(server)
    with transaction.atomic():
        rows = Options.objects.filter(server=server, paused_at__isnull=True)
        if not rows.update(paused_at=now, paused_by=by):
            return False
        audit.record(by, "autossl:paused", server.name, after={"paused": now.isoformat()})
    return True


def resume(server: Server, *, by: User | None, now: datetime) -> bool:
    """Resume; what was held meanwhile is due at once. False where nothing was paused."""
    with transaction.atomic():
        row = Options.objects.select_for_update().filter(server=server, paused_at__isnull=False).first()
        if row is None or row.paused_at is None:
            return False
        Options.objects.filter(pk=row.pk).update(paused_at=None, paused_by=None)
        hosting_users.make_due(VirtualHost.objects.filter(server=server, next_reason="paused"), now)
        audit.record(by, "autossl:resumed", server.name, before={"paused": row.paused_at.isoformat()})
    return True


def _look_again(server: Server) -> None:
    """Others' certificates may be replaced from now on: the sweep looks at them within a minute."""
    kept = Q(state=SiteState.FOREIGN) | Q(next_reason__in=policy.FOREIGN_WORSE)
    hosting_users.make_due(VirtualHost.objects.filter(kept, server=server), datetime.now(UTC))


def texts(row: Options) -> dict[str, str]:
    """Every option as a person would type it."""
    return {
        "resolvers": ",".join(row.resolvers),
        "server_addresses": ",".join(row.server_addresses),
        "replace_foreign": "yes" if row.replace_foreign else "no",
        "key_type": row.key_type,
        "reissue": "yes" if row.reissue else "no",
        "daily_at": row.daily_at.strftime("%H:%M"),
        "log_days": str(row.log_days),
        "reload_gap": str(row.reload_gap),
        "serve_www": "yes" if row.serve_www else "no",
        "second_factor": str(row.second_factor),
        "audit_days": str(row.audit_days),
        "notify_user": row.notify_user,
        "notify_admin": row.notify_admin,
        "admin_addresses": ",".join(row.admin_addresses),
    }


def _items(value: Any) -> list[str]:
    if isinstance(value, str):
        value = value.replace("\n", ",").replace(" ", ",").split(",")
    return [item.strip() for item in value if item.strip()]


def _addresses(field: str, value: Any) -> list[str]:
    found = []
    for item in _items(value):
        try:
            found.append(str(ip_address(item)))
        except ValueError as error:
            raise OptionProblem(field, _why_not(item)) from error
    return list(dict.fromkeys(found))


def _why_not(item: str) -> str:
    parts = item.split(".")
    if len(parts) == 4 and all(part.isdecimal() for part in parts):
        texts = (
            _("“%(text)s” is not an IP address: the first number is above 255."),
            _("“%(text)s” is not an IP address: the second number is above 255."),
            _("“%(text)s” is not an IP address: the third number is above 255."),
            _("“%(text)s” is not an IP address: the last number is above 255."),
        )
        for text, part in zip(texts, parts, strict=True):
            if len(part) > LONGEST_NUMBER or int(part) > 255:
                return text % {"text": item}
    return _("“%(text)s” is not an IP address.") % {"text": item}


def split_port(text: str) -> tuple[str, int | None]:
    """`address`, `address:port` or `[address]:port` as (address, port); raises ValueError."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(text)
        port = rest[1:]
    elif text.count(":") == 1:
        host, _colon, port = text.partition(":")
    else:
        host, port = text, ""
    ip_address(host)
    if not port:
        return host, None
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(text)
    return host, int(port)


def _resolvers(field: str, value: Any) -> list[str]:
    found = []
    for item in _items(value):
        try:
            split_port(item)
        except ValueError as error:
            text = _("“%(text)s” is not a resolver: give an address, with a port if it is not 53 (192.0.2.53:5353).")
            raise OptionProblem(field, text % {"text": item}) from error
        found.append(item)
    return list(dict.fromkeys(found))


def boolean(text: Any) -> bool | None:
    """yes/no, on/off, true/false, 1/0 as a boolean; None for anything else."""
    if isinstance(text, bool):
        return text
    word = str(text).strip().lower()
    if word in ("yes", "on", "true", "1"):
        return True
    return False if word in ("no", "off", "false", "0", "") else None


def _boolean(field: str, value: Any) -> bool:
    found = boolean(value)
    if found is None:
        raise OptionProblem(field, _("“%(text)s” is neither yes nor no.") % {"text": value})
    return found


def _key_type(field: str, value: Any) -> str:
    if value not in KEY_TYPES:
        text = _("“%(text)s” is not a key type. There are: %(names)s.")
        raise OptionProblem(field, text % {"text": value, "names": ", ".join(KEY_TYPES)})
    return str(value)


def _second_factor(field: str, value: Any) -> str:
    if value not in SecondFactorRule.values:
        said = ", ".join(SecondFactorRule.values)
        raise OptionProblem(
            field,
            _("“%(value)s” does not say who needs a second factor. There are: %(said)s.")
            % {"value": value, "said": said},
        )
    return str(value)


def _time(field: str, value: Any) -> time:
    if isinstance(value, time):
        return value
    if not str(value).strip():
        raise OptionProblem(field, _("Enter a time of day, like 03:12 (UTC)."))
    try:
        return time.fromisoformat(str(value).strip()).replace(second=0, microsecond=0, tzinfo=None)
    except ValueError as error:
        text = _("“%(text)s” is not a time of day; write it like 03:12 (UTC).")
        raise OptionProblem(field, text % {"text": value}) from error


def _number(least: int, most: int, unit: str) -> Callable[[str, Any], int]:
    def read(field: str, value: Any) -> int:
        text = str(value).strip()
        if not text:
            raise OptionProblem(field, str(NUMBER_WANTED[unit]) % {"least": least, "most": most})
        if not text.isdecimal() or len(text) > LONGEST_NUMBER or not least <= int(text) <= most:
            raise OptionProblem(field, str(NO_NUMBER[unit]) % {"text": value, "least": least, "most": most})
        return int(text)

    return read


def _level(field: str, value: Any) -> str:
    text = str(value).strip().lower()
    if text not in NotifyLevel.values:
        raise OptionProblem(
            field,
            _("“%(value)s” is not a level. There are: %(levels)s.")
            % {"value": value, "levels": ", ".join(NotifyLevel.values)},
        )
    return text


def _mail_addresses(field: str, value: Any) -> list[str]:
    found: dict[str, str] = {}
    for item in _items(value):
        try:
            address = mail.address(item)
        except mail.AddressProblem as problem:
            raise OptionProblem(field, problem.text) from problem
        found.setdefault(address.casefold(), address)
    if len(found) > MOST_ADDRESSES:
        raise OptionProblem(
            field,
            _("%(n)d addresses are too many: %(most)d at most; use a list address.")
            % {"n": len(found), "most": MOST_ADDRESSES},
        )
    return list(found.values())


NUMBER_WANTED = {
    "days": gettext_lazy("Enter a number of days from %(least)d to %(most)d."),
    "seconds": gettext_lazy("Enter a number of seconds from %(least)d to %(most)d."),
}
NO_NUMBER = {
    "days": gettext_lazy("“%(text)s” is not a number of days from %(least)d to %(most)d."),
    "seconds": gettext_lazy("“%(text)s” is not a number of seconds from %(least)d to %(most)d."),
}
# In the order of the page: of several that are wrong, the first one gets the focus.
READERS: dict[str, Callable[[str, Any], Any]] = {
    "notify_user": _level,
    "notify_admin": _level,
    "admin_addresses": _mail_addresses,
    "replace_foreign": _boolean,
    "key_type": _key_type,
    "reissue": _boolean,
    "serve_www": _boolean,
    "resolvers": _resolvers,
    "server_addresses": _addresses,
    "daily_at": _time,
    "reload_gap": _number(0, 3600, "seconds"),
    "log_days": _number(1, 3650, "days"),
    "second_factor": _second_factor,
    "audit_days": _number(366, 36500, "days"),
}
