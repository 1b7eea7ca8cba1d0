"""What the next page says at its top: a fact with its consequence; toasts are for what can be undone."""

from django.contrib import messages
from django.http import HttpRequest

# The session's entry of what `toasts` offers to undo
TOAST = "toast"


def ok(request: HttpRequest, text: str) -> None:
    """Something was done; an undo of what was done before goes with it."""
    request.session.pop(TOAST, None)
    messages.success(request, text, extra_tags="ok")


def info(request: HttpRequest, text: str) -> None:
    """Nothing was to be done."""
    messages.info(request, text, extra_tags="note")


def bad(request: HttpRequest, text: str) -> None:
    """Something could not be done."""
    messages.error(request, text, extra_tags="bad")
