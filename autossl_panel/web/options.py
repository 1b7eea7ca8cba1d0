"""The Options tab: the settings of this server, saved together or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from autossl_panel.autossl import options as heart
from autossl_panel.autossl.models import Installation, NotifyLevel, SecondFactorRule
from autossl_panel.hosting import servers
from autossl_panel.people import factors

from . import access, channels, messages, requirement, shell
from .fields import Field

KEY_TYPES = (
    ("p256", gettext_lazy("ECDSA P-256 (default)")),
    ("p384", gettext_lazy("ECDSA P-384")),
    ("rsa2048", gettext_lazy("RSA 2048")),
    ("rsa4096", gettext_lazy("RSA 4096")),
)
CHECKBOXES = ("replace_foreign", "serve_www", "reissue")


@dataclass(frozen=True, slots=True)
class Foreign:
    """Others' certificates on this server, and how many of them the option would let AutoSSL replace now."""

    total: int
    concerned: int


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
def options(request: access.PanelRequest) -> HttpResponse:
    """The form; a post saves every option, or none and says at each field why."""
    server = servers.this()
    values = heart.texts(heart.current(server))
    problems: dict[str, str] = {}
    if request.method == "POST":
        values = {name: request.POST.get(name, "") for name in heart.READERS}
        values |= {name: "yes" if name in request.POST else "no" for name in CHECKBOXES}
        # What was confirmed is the re-issue with the key type whose number stood beside the box.
        if request.POST.get("reissue_seen") != values["key_type"]:
            values["reissue"] = "no"
        problems = _problems(values)
        if not problems:
            heart.change(server, values, by=request.user)
            requirement.look_again(request)
            messages.ok(request, _("The options are saved."))
            return redirect("options")
    first = next(iter(problems), None)
    fields = {name: Field(name, value, problems.get(name, ""), name == first) for name, value in values.items()}
    installed = _installed_keys()
    context = {
        "fields": fields,
        "key_types": KEY_TYPES,
        "levels": NotifyLevel.choices,
        "card": channels.card(server),
        "foreign": _foreign(access.now()),
        "installed_keys": installed,
        "others": 0 if "key_type" in problems else heart.key_type_consequences(server, values["key_type"]).certificates,
        "second_factor_rules": SecondFactorRule.choices,
        "lacking": factors.lacking(),
        "problem": bool(problems),
    }
    return shell.page(request, "options.html", "options", context)


def _problems(values: Mapping[str, str]) -> dict[str, str]:
    """What is wrong, field by field."""
    found = {}
    for name, value in values.items():
        try:
            heart.READERS[name](name, value)
        except heart.OptionProblem as problem:
            found[name] = " ".join((problem.text, _("Nothing was saved.")))
    return found


def _foreign(now: datetime) -> Foreign:
    rows = Installation.objects.filter(
        until__isnull=True, virtual_host__gone_at__isnull=True, certificate__ours=False, certificate__self_signed=False
    ).values_list(
        "certificate__not_before",
        "certificate__not_after",
        "certificate__weak",
        "certificate__links",
        "key_matches",
    )
    total = concerned = 0
    for not_before, not_after, weak, links, key_matches in rows:
        total += 1
        margin = min((not_after - not_before) / 30, timedelta(days=3))
        if not_after - margin <= now or weak or not links or key_matches is False:
            concerned += 1
    return Foreign(total, concerned)


def _installed_keys() -> str:
    """“389 certificates use P-256, 11 RSA 2048.”"""
    rows = (
        Installation.objects.filter(until__isnull=True, virtual_host__gone_at__isnull=True, certificate__ours=True)
        .values_list("certificate__key_kind", "certificate__key_bits")
        .annotate(n=Count("pk"))
        .order_by("-n")
    )
    words = [f"{n} {'P-' if kind == 'ec' else kind.upper() + ' '}{bits}" for kind, bits, n in rows]
    return ", ".join(words)
