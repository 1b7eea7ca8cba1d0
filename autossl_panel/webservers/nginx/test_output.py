"""What `nginx -t` says, as one problem with file and line. Nothing is run here."""

import re

from autossl_panel.webservers.model import ConfigurationProblem

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


def has_auth_request(version_output: str) -> bool:
    """Whether `nginx -V` names the auth_request module: only then may `auth_request off` be written."""
    return _MODULE in version_output
