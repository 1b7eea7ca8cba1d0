"""Plain English for what a CA says, or what is the matter with one: what to change, with the facts filled in."""

from collections.abc import Callable, Mapping

from .sentences import AGAIN, Facts, name, text, told
from .words import LIMITS


def _ca_refused(data: Facts) -> str:
    fixes = {
        "dns": "Check the name's DNS records as seen from outside.",
        "caa": "Check the CAA records of the domain.",
        "connection": "Check that the site answers on port 80 from everywhere: CAs connect from several places.",
        "unauthorized": "Check that nothing in front of the site answers other visitors differently.",
        "rejectedIdentifier": "The CA does not issue for this name; exclude it or choose another provider.",
        "rateLimited": "The CA limits how often it is asked.",
    }
    kind = text(data, "kind") or text(data, "type").rpartition(":")[2]
    detail = text(data, "text") or text(data, "detail")
    said = f": {detail}" if detail else ""
    return f"The CA refused {name(data)}{said.rstrip('.')}. {fixes.get(kind, AGAIN)}"


def _rate_limited(data: Facts) -> str:
    who = text(data, "provider") or "The CA"
    limit = str(LIMITS.get(text(data, "limit"), "")) % {"label": text(data, "label") or "?"}
    said, used, allowed = text(data, "text"), data.get("used"), data.get("allowed")
    if said:
        what = f"{who} refuses it for a while: {said.rstrip('.')}."
    elif limit:
        what = f"{who} limits {limit}; {used} of the {allowed} that this server uses up are used."
    else:
        what = f"{who} takes no more for a while."
    return f"{what} The site goes on by itself when its turn comes; another fallback provider would make that sooner."


def _in_brackets(data: Facts, key: str) -> str:
    found = text(data, key)
    return f" ({found})" if found else ""


WRITERS: Mapping[str, Callable[[Facts], str]] = {
    "ca_refused": _ca_refused,
    "ca_paused": lambda data: told(
        data,
        f"The CA has paused {name(data)}, because it failed too often",
        f"Follow the CA's link to end that{_in_brackets(data, 'link')}, then check the site's user again.",
    ),
    "rate_limited": _rate_limited,
    "providers_down": lambda data: told(
        data,
        "No provider that this site may be ordered from works now",
        "It is tried again by itself; another fallback provider would have been asked in its place.",
    ),
    "ledger": lambda data: told(
        data,
        "What is asked of the CA is counted in a file that cannot be written, so nothing is asked",
        "Make room on its disk, or give the file back to the worker's user.",
    ),
    "ca_terms": lambda data: told(
        data,
        "The CA's terms of service have changed, and it takes no order until they are agreed to",
        "Read and agree on the tab Providers, or with: provider use NAME --agree-tos.",
    ),
    "ca_account": lambda data: told(
        data,
        "The CA does not take orders of this account",
        "Register again on the tab Providers, or choose another provider.",
    ),
    "ca_eab": lambda data: told(
        data,
        "The CA does not take the external account binding",
        "Get a fresh key id and HMAC key from the CA and register again.",
    ),
}
