"""What changes something in the heart: options, providers, runs, channels, each with what it leaves in the trail."""

from autossl_panel.autossl import (
    choices,
    limits,
    options,
    profiles,
    providers,
    recheck,
    rehearsal,
    renewing,
    revocation,
    runs,
    takeover,
)
from autossl_panel.autossl.limits import changing
from autossl_panel.autossl.models import (
    Account,
    Certificate,
    Provider,
)
from autossl_panel.autossl.notify import channels
from autossl_panel.autossl.rehearsal import Wish
from autossl_panel.hosting.models import VirtualHost
from tests.writes.acts import (
    HMAC_KEY,
    Act,
    amber,
    cancel_live,
    clear_a_pause,
    draft,
    feature_list,
    hook,
    left_alone,
    mail_test,
    paused,
    read_staging,
    send_again,
    with_staging,
)

# function: (what calls it, {(event, subject)} of the entries that it leaves)
WRITES: dict[str, tuple[Act, set[tuple[str, str]]]] = {
    "autossl.choices.choose_for_user": (
        lambda by, scene: choices.choose_for_user(amber(), scene.provider, by=by, now=scene.now),
        {("user:provider_set", "amberfield")},
    ),
    "autossl.choices.choose_for_feature_list": (
        lambda by, scene: choices.choose_for_feature_list(feature_list("parked"), scene.provider, by=by, now=scene.now),
        {("feature_list:provider_set", "parked")},
    ),
    "autossl.choices.set_fallbacks": (
        lambda by, scene: choices.set_fallbacks([scene.provider], by=by, server=scene.server),
        {("provider:fallbacks_set", "web03.harbor-hosting.example")},
    ),
    "autossl.holds.clear": (
        clear_a_pause,
        {("limits:unpaused", "amberfield.example")},
    ),
    "autossl.choices.try_now": (
        lambda by, scene: choices.try_now(left_alone(scene), by=by, now=scene.now),
        {("provider:tried", "letsencrypt")},
    ),
    "autossl.renewing.set_percent": (
        lambda by, scene: renewing.set_percent(scene.provider, "25", by=by, now=scene.now),
        {("provider:renewal", "letsencrypt")},
    ),
    "autossl.recheck.ask": (
        lambda by, scene: recheck.ask(
            scene.server, VirtualHost.objects.filter(name="amberfield.example"), by=by, now=scene.now
        ),
        {("site:rechecked", "amberfield.example")},
    ),
    "autossl.takeover.set_takeover": (
        lambda by, scene: takeover.set_takeover(
            VirtualHost.objects.get(name="amberfield.example"), True, by=by, now=scene.now
        ),
        {("site:takeover", "amberfield.example")},
    ),
    "autossl.options.pause": (
        lambda by, scene: options.pause(scene.server, by=by, now=scene.now),
        {("autossl:paused", "web03.harbor-hosting.example")},
    ),
    "autossl.options.resume": (
        lambda by, scene: (
            options.pause(scene.server, by=None, now=scene.now),
            options.resume(scene.server, by=by, now=scene.now),
        ),
        {("autossl:resumed", "web03.harbor-hosting.example")},
    ),
    "autossl.notify.channels.add": (
        lambda by, scene: channels.add(scene.server, hook(), by=by),
        {("channel:added", "Ops hook")},
    ),
    "autossl.notify.channels.change": (
        lambda by, scene: channels.change(channels.add(scene.server, hook(), by=None), hook(enabled=False), by=by),
        {("channel:changed", "Ops hook")},
    ),
    "autossl.notify.channels.remove": (
        lambda by, scene: channels.remove(channels.add(scene.server, hook(), by=None), by=by),
        {("channel:removed", "Ops hook")},
    ),
    "autossl.notify.channels.ask_test": (
        lambda by, scene: channels.ask_test(channels.add(scene.server, hook(), by=None), by=by, now=scene.now),
        {("channel:tested", "Ops hook")},
    ),
    "autossl.notify.channels.ask_mail_test": (mail_test, {("channel:tested", "e-mail")}),
    "autossl.notify.channels.send_again": (
        send_again,
        {("messages:sent_again", "web03.harbor-hosting.example")},
    ),
    "autossl.options.change": (
        lambda by, scene: options.change(scene.server, {"log_days": "60"}, by=by),
        {("options:changed", "web03.harbor-hosting.example")},
    ),
    "autossl.providers.draft": (
        lambda by, _scene: providers.draft(
            providers.Draft("New", "https://ca.example/dir", eab_kid="kid", eab_hmac_key=HMAC_KEY), by=by, ring=False
        ),
        {("provider:added", "New")},
    ),
    "autossl.providers.bind": (
        lambda by, _scene: providers.bind(Provider.objects.get(name="google"), "kid", HMAC_KEY, by=by),
        {("provider:bound", "google")},
    ),
    "autossl.providers.check_again": (
        lambda by, _scene: providers.check_again(Provider.objects.get(name="zerossl"), by=by),
        {("provider:check_asked", "zerossl")},
    ),
    "autossl.providers.ask_to_use": (
        lambda by, scene: providers.ask_to_use(scene.provider, scene.server, agree_terms=True, by=by),
        {("provider:chosen", "letsencrypt")},
    ),
    "autossl.profiles.set_profile": (
        lambda by, scene: profiles.set_profile(scene.provider, "shortlived", by=by),
        {("provider:profile", "letsencrypt")},
    ),
    "autossl.providers.ask_to_roll": (
        lambda by, scene: providers.ask_to_roll(scene.provider, scene.server, by=by),
        {("account:roll_key", "letsencrypt")},
    ),
    "autossl.providers.ask_to_register_anew": (
        lambda by, scene: providers.ask_to_register_anew(scene.provider, scene.server, agree_terms=True, by=by),
        {("account:register_anew", "letsencrypt")},
    ),
    "autossl.providers.agree_again": (
        lambda by, scene: providers.agree_again(scene.provider, scene.server, by=by),
        {("account:agree_terms", "letsencrypt")},
    ),
    "autossl.revocation.ask": (
        lambda by, scene: revocation.ask(Certificate.objects.filter(ours=True).first(), "superseded", by=by),
        {("certificate:revoke", "amberfield.example")},
    ),
    "autossl.limits.changing.change": (
        lambda by, scene: changing.change(scene.provider, {"orders": "10/1h"}, by=by),
        {("provider:limits", "letsencrypt")},
    ),
    "autossl.limits.changing.reset": (
        lambda by, scene: (
            changing.change(scene.provider, {"orders": "10/1h"}, by=None),
            changing.reset(scene.provider, by=by),
        ),
        {("provider:limits", "letsencrypt")},
    ),
    "autossl.limits.permits.unpause": (
        lambda by, scene: limits.unpause(paused(scene), "amberfield.example", by=by),
        {("limits:unpaused", "amberfield.example")},
    ),
    "autossl.limits.stamps.start_spent": (
        lambda by, scene: limits.start_spent(Account.objects.get(provider=scene.provider), by=by, now=scene.now),
        {("limits:started_spent", "letsencrypt")},
    ),
    "autossl.providers.disable": (
        lambda by, _scene: providers.disable(by=by),
        {("provider:disabled", "letsencrypt")},
    ),
    "autossl.providers.remove": (
        lambda by, _scene: providers.remove(Provider.objects.get(name="zerossl"), by=by),
        {("provider:removed", "zerossl")},
    ),
    "autossl.providers.take_back": (
        lambda by, _scene: providers.take_back(draft("New", eab_kid="k", eab_hmac_key=HMAC_KEY), None, by=by),
        {("provider:removed", "New")},
    ),
    "autossl.rehearsal.set_directory": (
        lambda by, scene: rehearsal.set_directory(scene.provider, "https://staging.example/dir", by=by),
        {("provider:staging_set", "letsencrypt")},
    ),
    "autossl.rehearsal.read_directory": (
        lambda by, scene: rehearsal.read_directory(with_staging(scene), by=by),
        {("provider:added", "letsencrypt-staging")},
    ),
    "autossl.rehearsal.ask": (
        lambda by, scene: rehearsal.ask(
            read_staging(scene), scene.server, Wish(agree_terms=True), by=by, now=scene.now
        ),
        {("provider:registered", "letsencrypt-staging"), ("rehearsal:started", "letsencrypt")},
    ),
    "autossl.runs.start": (
        lambda by, scene: runs.start("user:thistle", by=by, asked_from="panel", server=scene.server),
        {("run:started", "user:thistle")},
    ),
    "autossl.runs.cancel": (cancel_live, {("run:cancelled", "*")}),
}
