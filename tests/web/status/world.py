"""What tests of SSL/TLS Status share: reading its page."""

import re
from html import unescape

from django.test import Client

from autossl_panel.hosting.models import Domain, Exclusion


def text(html: str) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).strip())


def rows(html: str) -> dict[str, tuple[str, str]]:
    """State and what stands beside it, by name."""
    pattern = (
        r'class="who">((?:[^<]|<wbr>)+)</span></th>\s*<td id="st-\d+"[^>]*>(.*?)</td>\s*<td id="nx-\d+"[^>]*>(.*?)</td>'
    )
    return {
        name.replace("<wbr>", ""): (text(state), text(told))
        for name, state, told in re.findall(pattern, html, re.DOTALL)
    }


def shown(client: Client, url: str) -> list[str]:
    return list(rows(client.get(url).content.decode()))


def pk(name: str) -> int:
    return Domain.objects.get(name=name).pk


def excluded() -> set[str]:
    return set(Exclusion.objects.values_list("name", flat=True))
