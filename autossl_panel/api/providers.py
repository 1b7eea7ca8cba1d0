"""Providers as WHM's scripts read them; what this panel does with a CA, not all that the CA could do."""

from collections.abc import Mapping
from typing import Any

from autossl_panel.autossl import profiles
from autossl_panel.autossl.ledger import Kind
from autossl_panel.autossl.limits import limits_of
from autossl_panel.autossl.models import Account, Provider
from autossl_panel.people.models import Role

from . import schema
from .functions import Call, Data, function

WEEK = 7 * 86400
FLAG = schema.number(only=(0, 1))
NUMBER_OR_NULL = schema.or_null(schema.number())
SPECS = schema.obj(
    {
        "AVERAGE_DELIVERY_TIME": schema.or_null(
            schema.number("Seconds that the middle of the latest orders took here; null: none was placed yet")
        ),
        "DCV_METHODS": schema.array(schema.text(only=("http",)), "This panel proves names by HTTP alone"),
        "DELIVERY_METHOD": schema.text(only=("api",)),
        "HTTP_DCV_MAX_REDIRECTS": NUMBER_OR_NULL,
        "MAX_DOMAINS_PER_CERTIFICATE": schema.number(),
        "RATE_LIMIT_CERTIFICATES_PER_REGISTERED_DOMAIN_PER_WEEK": schema.number("0: none is known"),
        "SUPPORTS_ANCESTOR_DCV": schema.number(only=(0,)),
        "SUPPORTS_WILDCARD": schema.number("0: a wildcard wants a proof by DNS", only=(0,)),
        "VALIDITY_PERIOD": schema.or_null(schema.number("Seconds that its next certificate lives")),
    }
)
PROVIDERS = schema.obj(
    {
        "payload": schema.array(
            schema.obj(
                {
                    "display_name": schema.text(),
                    "module_name": schema.text("The provider's name here"),
                    "enabled": FLAG,
                    "specs": SPECS,
                    "x_account_id": schema.or_null(schema.text("The account's URL at the CA")),
                    "x_terms_of_service": schema.or_null(schema.text("Their URL")),
                    "x_terms_of_service_accepted": FLAG,
                }
            )
        )
    }
)


@function(Role.ROOT, answers=PROVIDERS)
def get_autossl_providers(call: Call) -> Data:
    """Says which providers there are, what each takes, and which one is in use."""
    accounts = {account.provider_id: account for account in Account.objects.filter(server=call.server)}
    rows = Provider.objects.defer("ca_bundle", "eab_hmac_key")
    return {"payload": [_told(provider, accounts.get(provider.pk)) for provider in rows]}


def _told(provider: Provider, account: Account | None) -> Mapping[str, Any]:
    registered = account if account is not None and account.url else None
    return {
        "display_name": str(provider),
        "module_name": provider.name,
        "enabled": int(provider.active),
        "specs": _specs(provider, account),
        "x_account_id": registered.url if registered is not None else None,
        "x_terms_of_service": provider.terms_url or None,
        "x_terms_of_service_accepted": int(registered is not None and _agreed(provider, registered)),
    }


def _agreed(provider: Provider, account: Account) -> bool:
    """Whether the terms that hold now are agreed to; where there are none, an account is all that is wanted."""
    return account.terms_url == provider.terms_url


def _specs(provider: Provider, account: Account | None) -> Mapping[str, Any]:
    seconds = ((account.measured if account is not None else None) or {}).get("seconds")
    lives = profiles.expected_lifetime(provider)
    return {
        "AVERAGE_DELIVERY_TIME": round(seconds) if seconds is not None else None,
        "DCV_METHODS": ["http"],
        "DELIVERY_METHOD": "api",
        "HTTP_DCV_MAX_REDIRECTS": provider.stated.get("redirects"),
        "MAX_DOMAINS_PER_CERTIFICATE": provider.max_names,
        "RATE_LIMIT_CERTIFICATES_PER_REGISTERED_DOMAIN_PER_WEEK": _a_week(provider),
        "SUPPORTS_ANCESTOR_DCV": 0,
        "SUPPORTS_WILDCARD": 0,
        "VALIDITY_PERIOD": round(lives.total_seconds()) if lives is not None else None,
    }


def _a_week(provider: Provider) -> int:
    """Certificates of a registered domain in seven days, as the CA publishes it or root has set it."""
    limit = next((one for one in limits_of(provider) if one.kind is Kind.DOMAIN), None)
    return limit.number * WEEK // limit.seconds if limit is not None and limit.seconds else 0
