"""A provider in lines and problems: by its name, as commands and programs know it, and by its title, as people do."""

from collections.abc import Mapping
from typing import Any


def of_provider(name: str, title: str = "") -> dict[str, Any]:
    """The facts that name a provider; its title only where it is another than its name."""
    return {"provider": name} | ({"title": title} if title not in ("", name) else {})


def title(data: Mapping[str, Any]) -> str:
    """What people call the provider of these facts; "" where they name none."""
    return str(data.get("title") or data.get("provider") or "")
