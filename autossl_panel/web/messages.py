"""What the next page says at its top: a fact with its consequence; toasts are for what can be undone."""

from django.contrib import messages
from django.http import HttpRequest


def ok(request: HttpRequest, text: str) -> None:
    messages.success(request, text, extra_tags="ok")


def info(request: HttpRequest, text: str) -> None:
    messages.info(request, text, extra_tags="note")


def bad(request: HttpRequest, text: str) -> None:
    messages.error(request, text, extra_tags="bad")
