"""Every event of the log with its text. `%(x)s` are keys of the line's data; a test renders each of them."""

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

EVENTS: dict[str, "_StrPromise"] = {
    # runs
    "run:started": _("Run for %(scope_text)s with %(provider)s"),
    "run:no_provider": _("No provider is chosen. Nothing is ordered; choose one on the tab Providers"),
    "run:cancelled": _("Cancelled by %(by)s. What is in hand finishes its step"),
    "run:failed": _("The run stopped: %(text)s"),
    "run:ended": _("Ended after %(seconds)s s: %(summary)s"),
    # inventory
    "inventory:unchanged": _("No configuration file changed since %(since)s"),
    "inventory:read": _(
        "%(sites)s sites of %(users)s users read: %(appeared)s new, %(changed)s changed, %(gone)s gone"
    ),
    "inventory:failed": _(
        "The web server's configuration could not be read: %(where)s%(text)s. Sites stay as they were"
    ),
    "inventory:told": _("%(name)s: %(text)s (%(file)s:%(line)s)"),
    # users and sites
    "user:nothing_to_do": _("%(user)s: nothing to do, %(kept)s of %(sites)s sites are kept"),
    "user:skipped": _("%(user)s: skipped, %(reason_text)s"),
    "user:begins": _("%(user)s: %(todo)s of %(sites)s sites need work"),
    "user:waits": _("%(user)s: %(waiting)s of %(sites)s sites wait for their next try, %(kept)s are kept"),
    "site:kept": _("%(site)s: kept, %(reason_text)s"),
    "site:skipped": _("%(site)s: skipped, %(reason_text)s"),
    "site:waits": _("%(site)s: %(reason_text)s, next try %(until)s"),
    "site:busy": _("%(site)s: run %(run)s is working on it"),
    "site:name_left_out": _("%(name)s: left out, %(reason_text)s"),
    # a user's last check, shown on Manage Users
    "check:nothing_to_do": _("Nothing to do"),
    "check:foreign": _("Kept, %(number)s foreign"),
    "check:skipped": _("Skipped, %(reason_text)s"),
    "check:failed": _("%(number)s failed: %(reason_text)s"),
    "check:deferred": _("%(number)s deferred: %(reason_text)s"),
    "check:waiting": _("%(number)s waiting: %(reason_text)s"),
    "check:cancelled": _("%(number)s cancelled"),
    "check:secured": _("%(number)s secured"),
    "check:renewed": _("%(number)s renewed"),
    "check:kept": _("%(number)s kept"),
}
