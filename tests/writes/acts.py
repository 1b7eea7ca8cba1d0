"""Changes that take more than a line to make, for the tables beside this."""

import json
from collections.abc import Callable
from datetime import timedelta

from django.test import override_settings
from django.utils import timezone

from autossl_panel.autossl import (
    holds,
    providers,
    rehearsal,
    runs,
)
from autossl_panel.autossl.ledger import Kind
from autossl_panel.autossl.models import (
    Account,
    Bucket,
    Message,
    MessageState,
    Options,
    Provider,
    ProviderState,
    Verdict,
    Way,
)
from autossl_panel.autossl.notify import channels
from autossl_panel.hosting import exclusion_patterns
from autossl_panel.hosting.exclusion_patterns import Level
from autossl_panel.hosting.models import ExclusionPattern, FeatureList, HostingUser, VirtualHost
from autossl_panel.people import factors, tokens
from autossl_panel.people.factors import hotp_value, yield_hotp_counters_from_time
from autossl_panel.people.models import ApiToken, AuditEntry, Session, User
from tests.web.scene import Scene

Act = Callable[[User, Scene], object]
# What no entry may hold
PASSWORD, HMAC_KEY = "a password that nobody guesses", "c2VjcmV0LWhtYWMta2V5"
HOOK, HOOK_SECRET = "https://hooks.example/a-token-in-the-path", "whsec_" + "QUJD" * 10
SECRETS = (PASSWORD, HMAC_KEY, "a-token-in-the-path", HOOK_SECRET.removeprefix("whsec_"))


def amber() -> HostingUser:
    return HostingUser.objects.get(name="amberfield")


def users_named(*names: str):
    return HostingUser.objects.filter(name__in=names)


def feature_list(name: str) -> FeatureList:
    return FeatureList.objects.get(name=name)


def draft(name: str, **more: object) -> Provider:
    wish = providers.Draft(name=name, directory_url="https://ca.example/dir", **more)  # type: ignore[arg-type]
    return providers.draft(wish, by=None, ring=False)


def code(secret: str) -> str:
    return f"{hotp_value(secret, next(iter(yield_hotp_counters_from_time()))):06}"


def add_app(by: User) -> None:
    secret = factors.new_secret()
    factors.add_app(by, secret, code(secret), by=by)


def a_passkey(whose: User, by: User | None = None) -> int:
    factors.add_passkey(whose, "Laptop", {"response": {}}, by=by)
    return factors.passkeys(whose).get().pk


def session_of(whose: User) -> Session:
    now = timezone.now()
    return Session.objects.create(
        session_key="k" * 32, session_data="", person=whose, began_at=now, seen_at=now, expire_date=now, address="::1"
    )


def a_token(whose: User, by: User | None = None) -> ApiToken:
    now = timezone.now()
    made, secret = tokens.make(whose, "monitoring", expires_at=None, read_only=False, by=by, now=now)
    assert secret not in json.dumps(list(AuditEntry.objects.values()), default=str)
    return made


def paused(scene: Scene) -> Account:
    """The account in use, with a name that its CA has paused."""
    account = Account.objects.get(provider=scene.provider)
    values = {"kind": Kind.CONSECUTIVE, "subject": "amberfield.example", "blocked_until": scene.now}
    Bucket.objects.create(owner=f"a:{account.pk}", **values)
    return account


def clear_a_pause(by: User, scene: Scene) -> None:
    paused(scene)
    mine = VirtualHost.objects.filter(name="amberfield.example")
    mine.update(held_reason="ca_paused", held_provider=scene.provider.name)
    holds.clear(mine, Verdict.objects.none(), scene.now, by=by)


def left_alone(scene: Scene) -> Account:
    """The account in use, whose CA has failed."""
    account = Account.objects.get(provider=scene.provider)
    Account.objects.update(faults=3, down_since=scene.now, down_until=scene.now + timedelta(hours=1))
    return account


def hook(**more: object) -> channels.Wish:
    return channels.Wish("Ops hook", Way.WEBHOOK, HOOK, secret=HOOK_SECRET, **more)  # type: ignore[arg-type]


def mail_test(by: User, scene: Scene) -> None:
    Options.objects.filter(server=scene.server).update(admin_addresses=["ops@b.example"])
    with override_settings(AUTOSSL_MAIL_FROM="panel@b.example"):
        channels.ask_mail_test(scene.server, by=by, now=scene.now)


def send_again(by: User, scene: Scene) -> None:
    channels.ask_test(scene.channel, by=None, now=scene.now)
    Message.objects.update(state=MessageState.FAILED, test=False)
    channels.send_again(scene.server, by=by, now=scene.now)


def pattern(scene: Scene, by: User | None = None) -> ExclusionPattern:
    return exclusion_patterns.add_pattern("*.amberfield.example", Level(scene.server), by=by, now=scene.now)


def cancel_live(by: User, scene: Scene) -> None:
    runs.cancel(scene.live, by=by)


def with_staging(scene: Scene) -> Provider:
    """It is known where one rehearses with the provider in use."""
    rehearsal.set_directory(scene.provider, "https://staging.example/dir", by=None)
    return scene.provider


def read_staging(scene: Scene) -> Provider:
    row = rehearsal.read_directory(with_staging(scene), by=None, ring=False)
    Provider.objects.filter(pk=row.pk).update(state=ProviderState.READY, terms_url="https://staging.example/terms")
    return scene.provider
