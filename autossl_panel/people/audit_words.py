"""What the events of the audit trail are called. Each that the code records has a line here; a test holds it."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

EVENTS: dict[str, Promise] = {
    "person:signed_in": _("signed in"),
    "person:signed_out": _("signed out"),
    "person:sign_in_failed": _("sign-in failed"),
    "person:second_factor_failed": _("second factor was wrong"),
    "person:confirm_failed": _("could not confirm who it is"),
    "person:added": _("added a person"),
    "person:changed": _("changed a person"),
    "person:password_changed": _("changed a password"),
    "person:prefers": _("changed own preferences"),
    "person:removed": _("removed a person"),
    "session:ended": _("ended a session"),
    "token:added": _("made an API token"),
    "token:revoked": _("revoked an API token"),
    "token:refused": _("an API token was wrong"),
    "second_factor:added": _("added a second factor"),
    "second_factor:renamed": _("renamed a passkey"),
    "second_factor:removed": _("removed a second factor"),
    "second_factor:reset": _("reset second factors"),
    "options:changed": _("changed options"),
    "provider:added": _("added a provider"),
    "provider:changed": _("changed a provider"),
    "provider:change_asked": _("asked for a change of a provider, to be tried first"),
    "provider:bound": _("gave an EAB key"),
    "provider:check_asked": _("had a directory read"),
    "provider:chosen": _("chose a provider"),
    "provider:registered": _("registered with a provider"),
    "provider:used": _("provider in use changed"),
    "provider:disabled": _("disabled AutoSSL"),
    "provider:removed": _("removed a provider"),
    "provider:profile": _("chose a profile of a provider"),
    "provider:renewal": _("set when a provider's certificates are renewed"),
    "provider:tried": _("had a failing provider tried again"),
    "provider:fallbacks_set": _("set the fallback providers"),
    "provider:limits": _("changed limits of a provider"),
    "limits:unpaused": _("said that a paused name is mended"),
    "limits:started_spent": _("found permits missing: limits start spent"),
    "account:roll_key": _("asked for another account key"),
    "account:register_anew": _("asked for another account"),
    "account:agree_terms": _("agreed to terms again"),
    "certificate:revoke": _("asked for a revocation"),
    "provider:staging_set": _("set where one rehearses with a provider"),
    "rehearsal:started": _("rehearsed a run"),
    "run:started": _("started a run"),
    "run:cancelled": _("cancelled a run"),
    "autossl:paused": _("paused AutoSSL"),
    "autossl:resumed": _("resumed AutoSSL"),
    "site:detached": _("detached sites"),
    "site:rechecked": _("had sites checked"),
    "site:takeover": _("set whether a site may be taken over"),
    "user:autossl_set": _("set AutoSSL of a user"),
    "user:suspended": _("suspended a user"),
    "user:unsuspended": _("unsuspended a user"),
    "user:owner_set": _("set the owner of a user"),
    "user:login_set": _("set the login of a user"),
    "user:feature_list_set": _("set the feature list of a user"),
    "user:provider_set": _("set the provider of a user"),
    "user:changed": _("changed a user"),
    "feature_list:added": _("added a feature list"),
    "feature_list:changed": _("changed a feature list"),
    "feature_list:provider_set": _("set the provider of a feature list"),
    "feature_list:removed": _("removed a feature list"),
    "name:excluded": _("excluded a name"),
    "name:included": _("included a name again"),
    "name:changed": _("changed the excluded names"),
    "pattern:added": _("excluded names by a pattern"),
    "pattern:removed": _("removed a pattern"),
    "channel:added": _("added a channel"),
    "channel:changed": _("changed a channel"),
    "channel:removed": _("removed a channel"),
    "channel:tested": _("sent a test message"),
    "messages:sent_again": _("sent messages again"),
}
SOURCES: dict[str, Promise] = {
    "panel": _("panel"),
    "command": _("command line"),
    "api": _("API"),
    "system": _("system"),
}


def event(code: str) -> str:
    """An event in words; one that is not known says itself."""
    return str(EVENTS.get(code, code))


def source(code: str) -> str:
    return str(SOURCES.get(code, code))
