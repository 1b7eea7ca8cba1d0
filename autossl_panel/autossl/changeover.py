"""The moment after a reload: the web server's old workers take connections for a while, and know no new challenge."""

import logging
import time
from collections.abc import Callable, Sequence

from autossl_panel import dcv
from autossl_panel.helper.client import Client as Helper
from autossl_panel.helper.client import HelperGone, HelperProblem
from autossl_panel.hosting.models import Server, VirtualHost

from . import shaking
from .patience import patiently

log = logging.getLogger("autossl_panel.changeover")

# A reload is through when one of a few sites answers several times in a row
WITNESSES = 8


def wait(
    helper: Helper, server: Server, hosts: Sequence[VirtualHost], addresses: Sequence[str], *, stop: Callable[[], bool]
) -> None:
    """Return when the web server's new workers answer for `hosts`, which were just attached: until then challenges
    would meet the old configuration. Whatever happens, not later than its patience."""
    witnesses = [
        (host.name, where) for host in hosts for where in shaking.listening(host.listens, addresses, tls=False)
    ][:WITNESSES]
    if not witnesses:
        return
    token, body = dcv.new_token()
    try:
        patiently(lambda: helper.challenge_put(token, body), stop=stop)
    except (HelperGone, HelperProblem) as problem:
        # Those who put the challenges in place meet the same, and say so.
        log.warning("the reload was not waited for: %s", problem)
        return
    path = f"/.well-known/acme-challenge/{token}"
    deadline = time.monotonic() + shaking.patience(VirtualHost.objects.filter(server=server).count())
    row, witness = 0, 0
    try:
        while row < shaking.IN_A_ROW and time.monotonic() < deadline and not stop():
            name, (address, port) = witnesses[witness % len(witnesses)]
            if shaking.http_answers(name, address, port, path, body):
                # Old workers take connections for a moment more: the same site, again and again, with a pause.
                row += 1
            else:
                row, witness = 0, witness + 1
            time.sleep(shaking.SETTLING)
    finally:
        forget(helper, token)


def forget(helper: Helper, token: str) -> None:
    """Take a token of ours away; one that stays is removed by age."""
    try:
        helper.challenge_del([token])
    except (HelperGone, HelperProblem):
        return
