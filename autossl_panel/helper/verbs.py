"""The closed list of verbs and the shape of each argument. What is not named here is refused at once."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

from autossl_panel.helper.protocol import Activation, HelperProblem

Check = Callable[[Any], Any]

KEY = re.compile(r"[a-z0-9_][a-z0-9._-]{0,220}-[0-9a-f]{8}")
ORDER = re.compile(r"[a-z0-9-]{1,64}")
TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")
BODY = re.compile(r"[A-Za-z0-9_-]{16,128}\.[A-Za-z0-9_-]{43}|[0-9a-f]{32,128}")
THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
HASH = re.compile(r"[0-9a-f]{64}")
NAME = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
KEY_TYPE = re.compile(r"p256|p384|rsa2048|rsa4096")
CHAIN_LIMIT = 256 * 1024


class _Shape(Exception):
    """What is wrong with an argument."""


def _text(pattern: re.Pattern[str], what: str, limit: int = 253) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, str) or len(value) > limit or not pattern.fullmatch(value):
            raise _Shape(f"is not {what}")
        return value

    return check


def _optional(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _each(check: Check, *, at_least: int = 0, at_most: int = 200_000) -> Check:
    def checked(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or not at_least <= len(value) <= at_most:
            raise _Shape(f"is not a list of {at_least} to {at_most}")
        return tuple(dict.fromkeys(check(item) for item in value))

    return checked


def _chain(value: Any) -> bytes:
    if not isinstance(value, str) or not 0 < len(value) <= CHAIN_LIMIT or not value.isascii():
        raise _Shape(f"is not a PEM chain of at most {CHAIN_LIMIT} bytes")
    return value.encode("ascii")


def _address(value: Any) -> str:
    # What stands behind a % may be any text at all, and addresses are written into configurations.
    plain = value if isinstance(value, str) and "%" not in value else ""
    try:
        return str(ipaddress.ip_address(plain))
    except ValueError as error:
        raise _Shape("is not an IP address") from error


def _activation(value: Any) -> Activation:
    if not isinstance(value, dict) or set(value) != {"order", "key", "expect_fingerprint", "extra_names"}:
        raise _Shape("is not an activation")
    return Activation(
        order=order(value["order"]),
        key=key(value["key"]),
        expect_fingerprint=_optional(_hash)(value["expect_fingerprint"]),
        extra_names=_each(name, at_most=1000)(value["extra_names"]),
    )


def _names_by_key(value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict) or len(value) > 200_000:
        raise _Shape("is not names by site key")
    return {key(one): _each(name, at_most=1000)(names) for one, names in value.items()}


key = _text(KEY, "a site's key")
order = _text(ORDER, "an order's id")
name = _text(NAME, "a host name")
token = _text(TOKEN, "a token")
_hash = _text(HASH, "64 hex digits")
_addresses = _each(_address, at_most=256)

VERBS: Mapping[str, Mapping[str, Check]] = {
    "inventory": {"unless": _optional(_hash)},
    "attach": {"keys": _each(key), "extra_names": _names_by_key, "server_addresses": _addresses},
    "detach": {"keys": _optional(_each(key))},
    "gen_csr": {
        "order": order,
        "key": key,
        "names": _each(name, at_least=1, at_most=1000),
        "key_type": _text(KEY_TYPE, "a key type"),
    },
    "challenge_put": {"token": token, "body": _text(BODY, "a challenge's body", 256)},
    "challenge_del": {"tokens": _each(token)},
    "register_thumbprint": {"thumbprint": _text(THUMBPRINT, "an account key's thumbprint")},
    "stage": {"order": order, "chain": _chain},
    "activate": {"orders": _each(_activation), "server_addresses": _addresses},
    "confirm": {"orders": _each(order)},
    "rollback": {"orders": _each(order)},
    "prune": {"keep_orders": _each(order, at_most=1_000_000)},
    "status": {},
}


def arguments(verb: Any, given: Any) -> dict[str, Any]:
    """The checked arguments of `verb`; HelperProblem 'unknown_verb' or 'bad_argument' otherwise."""
    shape = VERBS.get(verb) if isinstance(verb, str) else None
    if shape is None:
        raise HelperProblem("unknown_verb", "The helper has no such verb.")
    if not isinstance(given, dict) or set(given) != set(shape):
        raise HelperProblem("bad_argument", f"{verb} takes exactly: {', '.join(shape) or 'nothing'}.")
    checked: dict[str, Any] = {}
    for argument, check in shape.items():
        try:
            checked[argument] = check(given[argument])
        except _Shape as wrong:
            raise HelperProblem("bad_argument", f"{verb}: {argument} {wrong}.") from wrong
    return checked
