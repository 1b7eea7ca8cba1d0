"""Revoke the certificate of a site at its CA, with a reason; the site gets another one."""

from argparse import ArgumentParser
from typing import Any

from autossl_panel.autossl import revocation, revoking
from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.autossl.management.base import failed, usage
from autossl_panel.autossl.models import Installation
from autossl_panel.hosting import servers


class Command(Base):
    help = "Revoke the certificate that a site uses, at its CA. The next check orders another one, with another key."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("site", metavar="SITE", help="its main name")
        parser.add_argument("--reason", required=True, metavar="REASON", help=", ".join(revocation.REASONS))

    def work(self, *, site: str, reason: str, **_: Any) -> int:
        current = Installation.objects.filter(until__isnull=True, virtual_host__server=servers.this())
        found = current.select_related("certificate").filter(
            virtual_host__name=site.lower(), virtual_host__gone_at__isnull=True
        )
        installed = found.first()
        if installed is None:
            usage(f"There is no site “{site}” with a certificate.")
        wished = revocation.ask(installed.certificate, reason, by=None, ring=False)
        certificate = revoking.carry_out(wished)
        if certificate.revoked_at is None:
            failed(f"{site}: {(certificate.revoke_problem or {}).get('text', 'not revoked')}")
        self.stdout.write(f"{site}: certificate {certificate.serial} is revoked ({reason}); the site is due")
        return 0
