"""Room on Python's stack for a request and all that it calls. Nothing of what a request is about.

CPython keeps the frames of calls in chunks of 16 KiB: a call that goes over a chunk's end maps a new one, its return
unmaps it. Where that end falls into a loop of a template, far down, a page spends more than half its time so.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase

Given = ParamSpec("Given")
Answer = TypeVar("Answer")
# A frame of 256 KiB gets a chunk of 512, whose other half is for what it calls: some thousand frames. What nobody
# writes to takes no memory.
SLOTS = 2**15


def roomy(call: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """The same call, whose frame says that it needs so much stack that a chunk of its own is made for it."""

    def called(*args: Given.args, **kwargs: Given.kwargs) -> Answer:
        return call(*args, **kwargs)

    called.__code__ = called.__code__.replace(co_stacksize=SLOTS)
    return called


class Roomy:
    """Stands before everything that a request passes."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = roomy(get_response)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)
