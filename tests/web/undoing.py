"""The toast's Undo, clicked on the page that shows it."""

from typing import Any

from django.test import Client


def undo(client: Client, url: str, **more: str) -> Any:
    """Post the toast's form: of the change that the session offers to undo, or of none."""
    change = client.session.get("toast", {}).get("id", "")
    return client.post(url, {"change": change, **more})
