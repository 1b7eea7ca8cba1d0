"""Why a call is not answered with data: each with its HTTP status and a reason in words."""

from collections.abc import Mapping


class Refusal(Exception):
    """The call itself cannot be taken: who it is, what it asks for, how it is written."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers or {}


class Failed(Refusal):
    """The function was called rightly and could not do it. HTTP 200, as scripts for WHM expect; the result says 0."""

    def __init__(self, reason: str) -> None:
        super().__init__(200, reason)


class Wrong(Failed):
    """A parameter that cannot be taken."""

    def __init__(self, parameter: str, cause: str) -> None:
        super().__init__(f"{parameter}: {cause}")
