"""Who is told: the administrator's addresses and channels, hosting users, their resellers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.conf import settings
from django.db.models import Q, QuerySet

from autossl_panel.hosting.models import HostingUser, Server

from ..models import Channel, Kind, Options, Way
from .digest import Entry
from .kinds import Audience, Reach, wanted
from .memory import Key, Told

CHUNK = 500


@dataclass(slots=True)
class Recipient:
    """One who gets one digest: an address, or a channel."""

    way: Way
    address: str
    channel: Channel | None
    audience: Audience
    entries: dict[Key, Entry] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose sites: the user's name, and where its notifications go."""

    name: str
    address: str
    audience: Audience


def owners(ids: Iterable[int]) -> dict[int, Owner]:
    """Hosting users by id, with their own address, else that of their reseller, else none."""
    found = {}
    wished = sorted(set(ids))
    for first in range(0, len(wished), CHUNK):
        rows = HostingUser.objects.filter(pk__in=wished[first : first + CHUNK])
        for pk, name, own, reseller, active in rows.values_list(
            "pk", "name", "email", "owner__email", "owner__is_active"
        ):
            address = own or (reseller if active and reseller else "")
            found[pk] = Owner(name, address, Audience.USER if own else Audience.RESELLER)
    return found


def reach(server: Server, options: Options) -> Reach:
    """Who can be told what, by levels, addresses, channels and the mail server as they are now."""
    levels = set(_channels(server).values_list("level", flat=True))
    users: frozenset[int] = frozenset()
    user_kinds: frozenset[Kind] = frozenset()
    if mail_works():
        if options.admin_addresses:
            levels.add(options.notify_admin)
        user_kinds = frozenset(kind for kind in Kind if wanted(kind, options.notify_user, Audience.USER))
        if user_kinds:
            told = Q(owner__is_active=True) & ~Q(owner__email="")
            rows = HostingUser.objects.filter(~Q(email="") | told, server=server)
            users = frozenset(rows.values_list("pk", flat=True))
    admin_kinds = frozenset(kind for kind in Kind if any(wanted(kind, level, Audience.ADMIN) for level in levels))
    return Reach(users, user_kinds, admin_kinds)


def _channels(server: Server) -> QuerySet[Channel]:
    found = Channel.objects.filter(server=server, enabled=True)
    return found if mail_works() else found.exclude(kind=Way.MAIL)


def mail_works() -> bool:
    """Whether a mail server is set; without one no mail is made."""
    return bool(settings.AUTOSSL_MAIL_FROM)


def who(told: Iterable[Told], server: Server, options: Options, users: Mapping[int, Owner]) -> list[Recipient]:
    """Each recipient with what it is told; who is told nothing is left out. One address is one recipient."""
    found: dict[tuple[Way, str], Recipient] = {}
    told = list(told)
    for channel in _channels(server):
        address = channel.target if channel.kind == Way.MAIL else ""
        key = (Way.MAIL, _same(address)) if address else (Way(channel.kind), str(channel.pk))
        recipient = found.setdefault(key, Recipient(Way(channel.kind), address, channel, Audience.ADMIN))
        _add_admin(recipient, told, channel.level)
    if mail_works():
        for address in options.admin_addresses:
            key = (Way.MAIL, _same(address))
            _add_admin(
                found.setdefault(key, Recipient(Way.MAIL, address, None, Audience.ADMIN)), told, options.notify_admin
            )
        _add_users(found, told, options.notify_user, users)
    return [recipient for recipient in found.values() if recipient.entries]


def _add_admin(recipient: Recipient, told: Iterable[Told], level: str) -> None:
    for one in told:
        if one.admin is not None and wanted(one.matter.kind, level, Audience.ADMIN):
            recipient.entries[(one.matter.kind, one.matter.subject)] = Entry(one.matter, one.admin)


def _add_users(
    found: dict[tuple[Way, str], Recipient], told: Iterable[Told], level: str, users: Mapping[int, Owner]
) -> None:
    for one in told:
        owner = users.get(one.matter.user_id) if one.matter.user_id is not None else None
        if one.user is None or owner is None or not owner.address or not wanted(one.matter.kind, level, owner.audience):
            continue
        key = (Way.MAIL, _same(owner.address))
        # Whoever is told as administrator too gets one mail, with what either would have.
        recipient = found.setdefault(key, Recipient(Way.MAIL, owner.address, None, owner.audience))
        if recipient.audience == Audience.USER and owner.audience == Audience.RESELLER:
            recipient.audience = Audience.RESELLER
        recipient.entries.setdefault((one.matter.kind, one.matter.subject), Entry(one.matter, one.user))


def _same(address: str) -> str:
    """What makes two addresses one: few servers tell letters' case apart, and none that people know of."""
    return address.casefold()
