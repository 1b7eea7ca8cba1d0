"""The preview: what a run would do now, as the Preview page and `autossl_check --preview --json` have it."""

import json
from collections.abc import Iterator

from autossl_panel.autossl import preview, preview_told
from autossl_panel.autossl.models import Preview, PreviewAction

from . import schema
from .functions import OPERATORS, Call, Data, Streamed, function
from .parameters import Kind, Parameter
from .refusals import Wrong

# Seconds after which it is worth asking again
AGAIN = 2
NAMES = schema.array(schema.text())
WITH_REASON = schema.array(schema.obj({"domain": schema.text(), "reason": schema.or_null(schema.text())}))
LIMIT = schema.obj(
    {
        "provider": schema.text(),
        "kind": schema.text(),
        "label": schema.text(),
        "used": schema.number(),
        "allowed": schema.number(),
    }
)
ACTIONS = tuple(str(action) for action in PreviewAction)
SITE = schema.obj(
    {
        "virtual_host": schema.text("The site's main name"),
        "user": schema.text(),
        "action": schema.text("What a run would do", only=ACTIONS),
        "urgent": schema.yes(),
        "reason": schema.text("Why, as a code"),
        "names": schema.obj(
            {
                "kept": NAMES,
                "added": NAMES,
                "left_out": WITH_REASON,
                "failing": WITH_REASON,
                "dropped": NAMES,
                "unproven": NAMES,
            }
        ),
        "provider": schema.or_null(schema.text()),
        "provider_reason": schema.or_null(schema.text("Why that one, where it is not simply the site's own")),
        "limit": schema.or_null(LIMIT),
        "run": schema.or_null(schema.number("The run that has the site in hand")),
        "until": schema.or_null(schema.moment("Until when it waits, or keeps what it has")),
        "done_at": schema.or_null(schema.moment("About when its order would be done")),
    }
)
PREVIEW = schema.obj(
    {
        "scope": schema.text("*, user:NAME or owner:RESELLER"),
        "asked_at": schema.or_null(schema.moment()),
        "at": schema.or_null(schema.moment("The moment that all of it is decided at")),
        "ended_at": schema.or_null(schema.moment()),
        "problem": schema.or_null(schema.obj({"code": schema.text(), "text": schema.text()})),
        "counts": schema.obj({action: schema.number() for action in ACTIONS}),
        "orders": schema.number("Orders that the CAs' limits leave room for now"),
        "free_orders": schema.number("Those of them that count towards no limit"),
        "limited": schema.number("Sites whose turn at a limit comes later"),
        "last_at": schema.or_null(schema.moment("When the last would be done")),
        "sites": schema.array(SITE),
    }
)
ANSWER = schema.obj(
    {
        "state": schema.text("failed: `problem` of the preview says why", only=("working", "ready", "failed")),
        "ask_again_in": schema.or_null(schema.number("Seconds, while it is being worked out")),
        "preview": schema.or_null(PREVIEW),
    }
)


@function(
    *OPERATORS,
    answers=ANSWER,
    parameters=[
        Parameter("username", "One hosting user; without it, all that the token may see."),
        Parameter("fresh", "1 asks for a new one, where the last is not one of this minute.", Kind.FLAG),
    ],
    ours=True,
)
def get_autossl_preview(call: Call) -> Data:
    """Says what a run would do now, site by site and why, without doing it. A preview that was made within a day is
    answered at once, with its moment; else one is worked out: ask again until the state is no longer “working”."""
    scope = preview.scope_of(call.person, call.server, user=call.text("username"))
    if scope is None:
        raise Wrong("username", "there is no such user.")
    found = preview.newest(call.server, scope)
    if found is None or call.flag("fresh") or _is_of_others_too(call, found):
        found = preview.ask(scope, asked_by=call.person, server=call.server, now=call.now)
    if found.ended_at is None:
        return {"state": "working", "ask_again_in": AGAIN, "preview": None}
    return Streamed(_pieces(call, found))


def _is_of_others_too(call: Call, found: Preview) -> bool:
    """Whether some of its sites have another owner since: its counts would tell of them."""
    if call.person.is_root or found.ended_at is None or found.problem is not None:
        return False
    return preview.sites(found, call.person).count() != found.sites


def _pieces(call: Call, found: Preview) -> Iterator[str]:
    state = "failed" if found.problem else "ready"
    yield json.dumps({"state": state, "ask_again_in": None})[:-1] + ', "preview": '
    yield from preview_told.pieces(found, preview.sites(found, call.person).select_related("user"))
    yield "}"
