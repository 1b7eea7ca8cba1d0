"""Why no check can begin on a server now, for pages and the API alike. Reads only."""

from django.utils.translation import gettext as _

from autossl_panel.hosting.models import Server

from .models import Account, Options


def account_in_use(server: Server) -> Account | None:
    """The account of the provider that AutoSSL uses on a server."""
    return Account.objects.select_related("provider").filter(server=server, provider__active=True).first()


def stopped(row: Options | None, account: Account | None) -> str:
    """Why nobody's site can be checked now, in a sentence; "" where nothing stands in the way.

    `row` are the server's options, None where nobody has set any; `account` is the one in use.
    """
    if row is not None and row.paused_at is not None:
        return _("AutoSSL is paused.")
    return "" if account is not None else _("No provider is chosen.")
