"""What `nginx -t` says, as one problem with file and line. Nothing is run here."""

import os
import re
from collections.abc import Iterable, Iterator

from autossl_panel.webservers.model import ConfigurationProblem
from autossl_panel.webservers.nginx.read import Configuration
from autossl_panel.webservers.nginx.tokens import Statement

_LINE = re.compile(r"(?:^|\s)(?:nginx: )?\[(emerg|alert|crit)\]\s*(?:\d+#\d+:\s*)?(.*)$")
_WHERE = re.compile(r"^(.*) in (\S.*):(\d+)$")
_MODULE = "--with-http_auth_request_module"


def parse_test_output(text: str) -> ConfigurationProblem | None:
    """The first fault that stops nginx, None when the test went well. Warnings are none."""
    fault: ConfigurationProblem | None = None
    for line in text.splitlines():
        if (found := _LINE.search(line)) is None:
            continue
        where = _WHERE.match(found[2])
        problem = ConfigurationProblem(where[1], where[2], int(where[3])) if where else ConfigurationProblem(found[2])
        # An alert (a log that cannot be opened) comes first and stops nothing: an emerg is the cause.
        if found[1] == "emerg":
            return problem
        fault = fault or problem
    return fault if "test failed" in text or "syntax is ok" not in text else None


def place_of(configuration: Configuration, text: str) -> tuple[str, int] | None:
    """File and line where the configuration names the file that a fault is about; None where it names none.

    Of a certificate or key that cannot be loaded nginx says the path alone.
    """
    named = {path for path in re.findall(r'"([^"]+)"', text) if "/" in path}
    if not named:
        return None
    for placed in (*configuration.http_statements, *(one for each in configuration.servers for one in each.statements)):
        for statement in _with_its_block(placed.statement):
            if named & set(_paths(configuration, statement.args)):
                return placed.file, statement.line
    return None


def _with_its_block(statement: Statement) -> Iterator[Statement]:
    yield statement
    for inner in statement.block:
        yield from _with_its_block(inner)


def _paths(configuration: Configuration, args: Iterable[str]) -> Iterator[str]:
    for arg in args:
        yield os.path.join(configuration.conf.parent, arg)
        yield os.path.join(configuration.prefix, arg)


def has_auth_request(version_output: str) -> bool:
    """Whether `nginx -V` names the auth_request module: only then may `auth_request off` be written."""
    return _MODULE in version_output
