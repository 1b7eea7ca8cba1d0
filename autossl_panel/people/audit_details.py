"""What an entry of the audit trail says of before and after, in words. Rows keep the code's names; a test holds that
each name that the code records has a line here. What is not known says itself: old rows never break a page."""

from collections.abc import Mapping
from datetime import UTC, datetime

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

# What events are about, as a menu's groups
SUBJECTS: dict[str, Promise] = {
    "person": gettext_lazy("People"),
    "session": gettext_lazy("Sessions"),
    "second_factor": gettext_lazy("Second factors"),
    "token": gettext_lazy("API tokens"),
    "options": gettext_lazy("Options"),
    "provider": gettext_lazy("Providers"),
    "limits": gettext_lazy("Rate limits"),
    "account": gettext_lazy("Accounts at CAs"),
    "certificate": gettext_lazy("Certificates"),
    "rehearsal": gettext_lazy("Rehearsals"),
    "run": gettext_lazy("Runs"),
    "autossl": gettext_lazy("AutoSSL as a whole"),
    "site": gettext_lazy("Sites"),
    "user": gettext_lazy("Hosting users"),
    "feature_list": gettext_lazy("Feature lists"),
    "name": gettext_lazy("Excluded names"),
    "pattern": gettext_lazy("Exclusion patterns"),
    "channel": gettext_lazy("Channels"),
    "messages": gettext_lazy("Messages"),
}
FIELDS: dict[str, Promise] = {
    "active": gettext_lazy("may sign in"),
    "address": gettext_lazy("address"),
    "admin_addresses": gettext_lazy("administrator's addresses"),
    "asked": gettext_lazy("asked for"),
    "audit_days": gettext_lazy("days of the audit trail"),
    "autossl": gettext_lazy("AutoSSL"),
    "browser": gettext_lazy("browser"),
    "ca_bundle": gettext_lazy("CA bundle"),
    "consecutive": gettext_lazy("failures in a row"),
    "contact": gettext_lazy("contact"),
    "daily_at": gettext_lazy("daily check at"),
    "directory_url": gettext_lazy("directory URL"),
    "domain": gettext_lazy("certificates of a domain"),
    "eab_hmac_key": gettext_lazy("EAB HMAC key"),
    "eab_kid": gettext_lazy("EAB key identifier"),
    "email": gettext_lazy("e-mail address"),
    "enabled": gettext_lazy("enabled"),
    "excluded": gettext_lazy("excluded"),
    "expires": gettext_lazy("expires"),
    "factors": gettext_lazy("second factors"),
    "failures": gettext_lazy("failed validations"),
    "fallbacks": gettext_lazy("fallbacks"),
    "feature_list": gettext_lazy("feature list"),
    "first": gettext_lazy("the first"),
    "in_use": gettext_lazy("in use"),
    "key_type": gettext_lazy("key type"),
    "kind": gettext_lazy("kind"),
    "language": gettext_lazy("language"),
    "left_alone_until": gettext_lazy("left alone until"),
    "level": gettext_lazy("level"),
    "log_days": gettext_lazy("days of the logs"),
    "login": gettext_lazy("login"),
    "max_names": gettext_lazy("names in a certificate"),
    "name": gettext_lazy("name"),
    "names": gettext_lazy("names"),
    "notify_admin": gettext_lazy("notifications to the administrator"),
    "notify_user": gettext_lazy("notifications to users"),
    "number": gettext_lazy("number"),
    "orders": gettext_lazy("new orders"),
    "owner": gettext_lazy("owner"),
    "paused": gettext_lazy("paused since"),
    "percent_left": gettext_lazy("percent of the lifetime left at renewal"),
    "permits_lost": gettext_lazy("permits missing"),
    "private": gettext_lazy("private addresses allowed"),
    "private_ca": gettext_lazy("private CA"),
    "profile": gettext_lazy("profile"),
    "provider": gettext_lazy("provider"),
    "read_only": gettext_lazy("for reading only"),
    "reason": gettext_lazy("reason"),
    "registrations": gettext_lazy("new accounts"),
    "rehearsal": gettext_lazy("rehearsal"),
    "reissue": gettext_lazy("re-issue with another key type"),
    "reload_gap": gettext_lazy("seconds between reloads"),
    "replace_foreign": gettext_lazy("replace certificates from elsewhere"),
    "requests": gettext_lazy("requests"),
    "resolvers": gettext_lazy("DNS resolvers"),
    "role": gettext_lazy("role"),
    "run": gettext_lazy("run"),
    "second_factor": gettext_lazy("second factor required of"),
    "serial": gettext_lazy("serial"),
    "serve_www": gettext_lazy("serve www"),
    "server": gettext_lazy("server"),
    "server_addresses": gettext_lazy("server addresses"),
    "set": gettext_lazy("certificates of the same names"),
    "shortcuts": gettext_lazy("single keys"),
    "since": gettext_lazy("since"),
    "sites": gettext_lazy("sites"),
    "staging_url": gettext_lazy("staging directory"),
    "suspended": gettext_lazy("suspended"),
    "takeover": gettext_lazy("may be taken over"),
    "target": gettext_lazy("target"),
    "terms": gettext_lazy("terms of service"),
    "terms_url": gettext_lazy("terms of service"),
    "theme": gettext_lazy("theme"),
    "user": gettext_lazy("user"),
    "with": gettext_lazy("with"),
    "zone": gettext_lazy("time zone"),
}
_KEPT = gettext_lazy("kept for the next registration")
_LEVELS = {
    "all": gettext_lazy("Everything"),
    "warnings": gettext_lazy("Failures, warnings and deferrals"),
    "failures": gettext_lazy("Failures only"),
    "none": gettext_lazy("Nothing"),
    "server": gettext_lazy("the whole server"),
}
_FACTORS = {
    "authenticator app": gettext_lazy("authenticator app"),
    "passkey": gettext_lazy("passkey"),
    "recovery codes": gettext_lazy("recovery codes"),
}
# What a value of a field is called; names that people gave stay as they are
VALUES: dict[str, Mapping[str, Promise]] = {
    "asked": {
        "agree": gettext_lazy("agreement to the terms"),
        "anew": gettext_lazy("another account"),
        "roll": gettext_lazy("another account key"),
    },
    "autossl": {
        "on": gettext_lazy("Enabled"),
        "off": gettext_lazy("Disabled"),
        "feature-list": gettext_lazy("Use feature list"),
    },
    "eab_hmac_key": {
        "kept for the next registration": _KEPT,
        "another is kept for the next registration": gettext_lazy("another is kept for the next registration"),
    },
    "factors": _FACTORS,
    "kind": {**_FACTORS, "webhook": gettext_lazy("webhook")},
    "level": _LEVELS,
    "notify_admin": _LEVELS,
    "notify_user": _LEVELS,
    "reason": {
        "keyCompromise": gettext_lazy("Its private key was disclosed"),
        "superseded": gettext_lazy("Another certificate took its place"),
        "cessationOfOperation": gettext_lazy("The site was closed"),
        "unspecified": gettext_lazy("For another reason"),
    },
    "role": {
        "root": gettext_lazy("root"),
        "reseller": gettext_lazy("reseller"),
        "user": gettext_lazy("hosting user"),
    },
    "second_factor": {
        "nobody": gettext_lazy("nobody"),
        "root": gettext_lazy("root"),
        "operators": gettext_lazy("root and resellers"),
        "everybody": gettext_lazy("everybody"),
    },
    "theme": {"light": gettext_lazy("light"), "dark": gettext_lazy("dark")},
    "with": {"passkey": gettext_lazy("passkey")},
}
# Options are kept as they are typed
SWITCHES = frozenset({"replace_foreign", "reissue", "serve_www"})
LIMITS = frozenset({"orders", "domain", "set", "failures", "consecutive", "requests", "registrations"})
MOMENTS = frozenset({"expires", "left_alone_until", "paused", "since"})


def subject(kind: str) -> str:
    """What a group of events is about."""
    return str(SUBJECTS.get(kind, kind.replace("_", " ")))


def field(name: str) -> str:
    """What a fact is called."""
    return str(FIELDS.get(name, name.replace("_", " ")))


def value(name: str, said: str) -> str:
    """What a value of the fact `name` means, in the language that is active; a moment is in UTC, and says so."""
    if said in (known := VALUES.get(name, {})):
        return str(known[said])
    if name in SWITCHES and said in ("yes", "no"):
        return _("yes") if said == "yes" else _("no")
    if name in LIMITS and said == "none":
        return _("no limit")
    if name == "level":
        return _whose(said)
    return _moment(said) if name in MOMENTS else said


def _whose(said: str) -> str:
    """The level of a pattern: “reseller amy”, “feature list starter”, “user anna”."""
    for word, text in (
        ("reseller ", gettext_lazy("reseller %(name)s")),
        ("feature list ", gettext_lazy("feature list %(name)s")),
        ("user ", gettext_lazy("user %(name)s")),
    ):
        if said.startswith(word):
            return str(text) % {"name": said.removeprefix(word)}
    return said


def _moment(said: str) -> str:
    """Some are kept without their zone, which always is UTC."""
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        return said
    return f"{at.astimezone(UTC) if at.tzinfo else at:%Y-%m-%d %H:%M} UTC"
