"""Every event of the log with its text. `%(x)s` are keys of the line's data; a test renders each of them."""

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

EVENTS: dict[str, "_StrPromise"] = {
    # runs
    "run:started": _("Run for %(scope_text)s with %(provider)s"),
    "run:no_provider": _("No provider is chosen. Nothing is ordered; choose one on the tab Providers"),
    "run:paused": _(
        "AutoSSL is paused since %(since)s by %(by)s. Sites are looked at; nothing is ordered or installed"
    ),
    "run:trouble": _("Trouble of this server: %(reason_text)s. Names that could not be judged: %(names)s"),
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
    "user:waits": _("%(user)s: %(waiting)s of %(sites)s sites wait for their next try, %(kept)s kept"),
    "site:kept": _("%(site)s: kept, %(reason_text)s"),
    "site:skipped": _("%(site)s: skipped, %(reason_text)s"),
    "site:waits": _("%(site)s: %(reason_text)s, next try %(until)s"),
    "site:busy": _("%(site)s: run %(run)s is working on it"),
    "site:name_left_out": _("%(name)s: left out, %(reason_text)s"),
    # a job's own lines
    "site:begins": _("%(site)s: %(reason_text)s"),
    "site:taken_up": _("%(site)s: taken up again after a worker died, try %(attempt)s"),
    "attach:failed": _("Challenges cannot be answered: %(reason_text)s. %(text)s %(where)s"),
    "dcv:passed": _("%(name)s: proven at %(addresses)s"),
    "dcv:failed": _("%(name)s: %(reason_text)s"),
    "dcv:unknown": _("%(name)s: %(reason_text)s"),
    "provider:asked": _("%(provider)s is asked: %(reason_text)s"),
    "provider:down": _(
        "%(provider)s is left alone until %(until)s, because it failed several times in a row. %(text)s"
    ),
    "provider:limited": _(
        "%(provider)s: %(limit_text)s, %(used)s of %(allowed)s used. This site's turn comes %(until)s"
    ),
    "provider:refuses": _("%(provider)s refuses %(limit_text)s until %(until)s: %(text)s"),
    "provider:paused": _("%(provider)s has paused %(label)s until a person acts there. %(text)s %(link)s"),
    "provider:passed_over": _("%(provider)s is not asked: %(reason_text)s"),
    "plan:order": _("Orders a certificate for %(names)s from %(provider)s"),
    "plan:keep": _("Nothing is ordered: %(reason_text)s"),
    "plan:defer": _("Renewal waits until %(until)s for %(names)s"),
    "plan:hold": _("Held: %(reason_text)s"),
    "plan:fail": _("Nothing can be ordered: %(reason_text)s"),
    "order:placed": _("The CA takes the order"),
    "order:replaces": _("The CA takes it as the renewal that it asked for, which counts towards none of its limits"),
    "order:replaces_refused": _("The CA does not take the order as a renewal; it is asked once more without. %(text)s"),
    "order:resumed": _("Goes on with the open order for %(names)s"),
    "order:staged_before": _("The certificate for %(names)s is there, and waits to be installed"),
    "order:waits": _("The CA is still working on the order; asked again %(until)s"),
    "order:name_refused": _("The CA refuses %(name)s (%(kind)s): %(text)s"),
    "order:invalid": _("The CA calls the order invalid. %(text)s"),
    "order:given_up": _("The order is given up: %(reason_text)s. %(text)s"),
    "order:unwanted": _("The certificate is not what was ordered and is not used: %(reason_text)s. %(text)s"),
    "order:trouble": _("The CA: %(text)s"),
    "order:issued": _("Issued: serial %(serial)s, valid until %(not_after)s, for %(names)s"),
    "install:again": _("Certificate %(serial)s in our store is installed again"),
    "install:verified": _("Handshakes at %(addresses)s show the new certificate"),
    "install:remark": _("%(text)s"),
    "install:rolled_back": _("Put back as it was: %(text)s"),
    "install:quarantined": _("The web server refuses this certificate; it is put aside. %(text)s %(where)s"),
    "install:changed_meanwhile": _("Another certificate was installed meanwhile; it stays. %(text)s"),
    "install:stays_staged": _("The certificate stays staged: %(reason_text)s. %(text)s %(where)s"),
    "install:given_up": _("The certificate is not installed: %(reason_text)s. %(text)s %(where)s"),
    "install:failed": _("The certificate stays staged: %(reason_text)s. %(text)s"),
    "job:secured": _("%(site)s: the new certificate is served"),
    "job:kept": _("%(site)s is kept as it is: %(reason_text)s"),
    "job:skipped": _("%(site)s is skipped: %(reason_text)s"),
    "job:deferred": _("%(site)s is deferred: %(reason_text)s%(until_text)s"),
    "job:waiting": _("%(site)s waits: %(reason_text)s%(until_text)s"),
    "job:failed": _("%(site)s failed: %(reason_text)s%(until_text)s"),
    "job:cancelled": _("%(site)s: cancelled"),
    "job:stopped": _("%(site)s: stopped, the run could not go on"),
    # a rehearsal at a CA's staging directory
    "rehearsal:started": _("Rehearses %(provider)s with %(sites)s sites at %(directory)s; nothing is installed"),
    "rehearsal:account": _("Account there: %(account)s"),
    "rehearsal:site": _("%(site)s of %(user)s"),
    "rehearsal:attached": _("%(site)s answers challenges now, as in a run"),
    "rehearsal:issued": _("Issued by %(issuer)s for %(names)s, valid until %(not_after)s; looked at and thrown away"),
    "rehearsal:failed": _("%(site)s failed: %(reason_text)s. %(text)s"),
    "rehearsal:stopped": _("Stopped: %(reason_text)s. %(text)s"),
    "rehearsal:ended": _("%(issued)s of %(sites)s sites would get their certificate"),
    # a user's last check, shown on Manage Users
    "check:nothing_to_do": _("Nothing to do"),
    "check:kept": _("%(number)s kept: %(reason_text)s"),
    "check:foreign": _("Kept, %(number)s foreign"),
    "check:skipped": _("Skipped, %(reason_text)s"),
    "check:failed": _("%(number)s failed: %(reason_text)s"),
    "check:deferred": _("%(number)s deferred: %(reason_text)s"),
    "check:waiting": _("%(number)s waiting: %(reason_text)s"),
    "check:stopped": _("%(number)s stopped: the run could not go on"),
    "check:cancelled": _("%(number)s cancelled"),
    "check:secured": _("%(number)s secured"),
    "check:renewed": _("%(number)s renewed"),
}

# Lines that are said otherwise of one: what is counted, and the words; where two are, the first that is one holds
COUNTED: dict[str, tuple[tuple[str, "_StrPromise"], ...]] = {
    "inventory:read": (
        (
            "sites",
            _("%(sites)s site of %(users)s user read: %(appeared)s new, %(changed)s changed, %(gone)s gone"),
        ),
        (
            "users",
            _("%(sites)s sites of %(users)s user read: %(appeared)s new, %(changed)s changed, %(gone)s gone"),
        ),
    ),
    "user:nothing_to_do": (
        ("sites", _("%(user)s: nothing to do, %(kept)s of %(sites)s site is kept")),
        ("kept", _("%(user)s: nothing to do, %(kept)s of %(sites)s sites is kept")),
    ),
    "user:begins": (
        ("sites", _("%(user)s: %(todo)s of %(sites)s site needs work")),
        ("todo", _("%(user)s: %(todo)s of %(sites)s sites needs work")),
    ),
    "user:waits": (
        ("sites", _("%(user)s: %(waiting)s of %(sites)s site waits for its next try, %(kept)s kept")),
        ("waiting", _("%(user)s: %(waiting)s of %(sites)s sites waits for its next try, %(kept)s kept")),
    ),
    "rehearsal:started": (
        ("sites", _("Rehearses %(provider)s with %(sites)s site at %(directory)s; nothing is installed")),
    ),
    "rehearsal:ended": (
        ("sites", _("%(issued)s of %(sites)s site would get its certificate")),
        ("issued", _("%(issued)s of %(sites)s sites would get its certificate")),
    ),
}
