"""What tests of previews share."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps

from autossl_panel.autossl import preview, previewing, runs
from autossl_panel.autossl.models import (
    Outcome,
    Preview,
    PreviewSite,
    Verdict,
)
from autossl_panel.hosting.models import Domain, Exclusion, Server, Setting, VirtualHost
from tests.autossl.surveys import Reads

Make = Callable[..., Any]


def previewed(scope: str = runs.ALL, *, now: datetime | None = None, **more: Any) -> Preview:
    """A preview at its end."""
    made = preview.ask(scope, asked_by=None, server=Server.objects.get(), ring=False)
    previewing.work_out(made.pk, Reads(), now=now, **more)
    return Preview.objects.get(pk=made.pk)


def rows_of(found: Preview) -> dict[str, PreviewSite]:
    return {one.name: one for one in preview.sites(found, None)}


def verdict(host: VirtualHost, name: str, code: str = "", **more: Any) -> None:
    """What the last check found, two hours ago."""
    at = more.pop("at")
    domain = Domain.objects.get(virtual_host=host, name=name)
    seen = {"first_failed_at": at, "last_failed_at": at} if code else {"last_passed_at": at}
    outcome = Outcome.FAIL if code else Outcome.PASS
    Verdict.objects.create(domain=domain, at=at, outcome=outcome, code=code, **seen, **more)


def everything() -> dict[str, list[Any]]:
    mine = [model for model in apps.get_models() if model.__module__.startswith("autossl_panel.")]
    return {model._meta.label: list(model._default_manager.order_by("pk").values()) for model in mine}


def ask(server: Server, now: datetime, scope: str = runs.ALL, **more: Any) -> Preview:
    return preview.ask(scope, asked_by=None, server=server, now=now, **more)


def scene(seed: int, make_user: Make, make_site: Make, make_installed: Make, now: datetime) -> None:
    """Users and sites as they happen to be: new, sound, due, expired, lacking names, held, another's, off."""
    draw = random.Random(seed)
    for u in range(4):
        user = make_user(f"user{u}", autossl=draw.choice([Setting.ON, Setting.ON, Setting.ON, Setting.OFF]))
        for s in range(draw.randrange(1, 9)):
            names = [f"{label}s{s}.u{u}.example" for label in ("", "www.", "mail.", "a.")[: draw.randrange(1, 5)]]
            held = {}
            if draw.random() < 0.2:
                held["retry_at"] = now + timedelta(hours=draw.randrange(-3, 5))
            if draw.random() < 0.1:
                held |= {"held_until": now + timedelta(hours=2), "held_reason": "rate_limited"}
            site = make_site(user, *names, takeover=draw.random() < 0.2, **held)
            if draw.random() < 0.75:
                covered = draw.sample(names, draw.randrange(1, len(names) + 1))
                left = draw.choice([-20, -1, 0.5, 2, 10, 29, 31, 60, 89])
                make_installed(site, *covered, days_left=left, ours=draw.random() < 0.8)
            for name in names:
                if draw.random() < 0.6:
                    code = draw.choice(["", "", "elsewhere", "caa"])
                    retry = now + timedelta(hours=draw.randrange(-3, 9)) if code and draw.random() < 0.5 else None
                    verdict(site, name, code, at=now - timedelta(hours=draw.randrange(1, 90)), retry_at=retry)
            if draw.random() < 0.15:
                Exclusion.objects.create(user=user, name=names[-1], at=now)
