"""Advice: every code has sentences of its own, whatever facts are missing."""

import pytest

from autossl_panel.autossl.log import advice_names, advice_sites
from autossl_panel.autossl.log.advice import advice

DNS = ["nxdomain", "no_address", "dns_timeout", "dns_servfail", "dnssec", "caa", "private_address"]
FETCH = ["elsewhere", "ipv6_elsewhere", "http_status", "wrong_body", "connect_refused", "connect_timeout"]
REDIRECTS = ["redirect_loop", "redirect_refused"]
OTHERS = ["unknown", "ca_refused", "wildcard_unsupported", "not_public", "bad_name", "excluded"]
LISTS = ["www_not_served", "over_limit"]
SITES = ["foreign_defective", "foreign_expiring", "clock", "loop", "no_names", "all_excluded"]
SERVER = ["resolver_dead", "no_route", "own_address", "local_fault", "failing_alike"]
ACCOUNT = ["ca_paused", "ca_terms", "ca_account", "ca_eab", "rate_limited", "providers_down", "ledger"]
CA = ["ca_unreachable", "ca_server", "ca_order", "order_stuck"]
CODES = [*DNS, *FETCH, *REDIRECTS, *OTHERS, *LISTS, *SITES, *SERVER, *ACCOUNT, *CA]


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_words(code: str) -> None:
    bare = advice(code, {})
    text = advice(code, {"name": "www.example.com", "address": "192.0.2.1", "url": "http://www.example.com/x"})
    for sentence in (bare, text):
        assert sentence.endswith(".") or sentence.endswith('".')
        assert "  " not in sentence
        assert "None" not in sentence.removeprefix("None of the ")
    assert text != advice("something else", {"name": "www.example.com"})


def test_the_codes_above_are_all_there_are() -> None:
    written = [*advice_names.WRITERS, *advice_sites.WRITERS]
    assert sorted(written) == sorted(CODES)


def test_an_unknown_code_still_says_something() -> None:
    assert advice("brand_new", {"name": "a.example"}).startswith("a.example could not be secured this time.")


@pytest.mark.parametrize(
    ("code", "data", "words"),
    [
        ("http_status", {"status": 401}, "password"),
        ("http_status", {"status": 403}, "firewall"),
        ("http_status", {"status": 502}, "error log"),
        ("redirect_refused", {"reason": "port 8080"}, "port 8080"),
        ("ca_refused", {"type": "urn:ietf:params:acme:error:caa", "detail": "no."}, "CAA records"),
        (
            "ca_refused",
            {"kind": "connection", "text": "Timeout"},
            "refused The name: Timeout. Check that the site",
        ),
        ("ca_paused", {"link": "https://ca.example/unpause"}, "(https://ca.example/unpause)"),
        (
            "rate_limited",
            {"limit": "domain", "label": "a.org", "used": 40, "allowed": 40},
            "of a.org; this server has used 40",
        ),
        ("rate_limited", {"provider": "le", "text": "too many new orders."}, "le refuses it for a while: too many new"),
        ("over_limit", {"limit": 6}, "the provider takes 6 names in one certificate. Give"),
        ("over_limit", {"limit": 1}, "the provider takes 1 name in one certificate."),
        ("over_limit", {}, "the provider takes no more names in one certificate."),
        ("ipv6_elsewhere", {"ours": True, "address": "::1"}, "is this server"),
        ("unknown", {"reason": "no_route", "record": "AAAA"}, "no IPv6 connection"),
        ("foreign_defective", {"defects": ["expired"], "not_after": "2026-11-13T00:00:00+00:00"}, "on 13 Nov 2026"),
        ("foreign_defective", {"defects": ["weak"]}, "weak key"),
        ("foreign_defective", {"name": "a.org"}, "take over this site, on the site's page"),
        ("foreign_expiring", {"not_after": "2026-11-24T22:03:00+00:00"}, "expires on 24 Nov 2026"),
        ("unknown", {"reason": "stopped"}, "stopped"),
        ("connect_refused", {"reason": "not_http"}, "does not speak HTTP"),
        ("excluded", {"pattern": "dev.*", "level": "feature_list"}, "by the feature list's pattern dev.*"),
        ("all_excluded", {"pattern": "*", "level": "user"}, "by the user's pattern *"),
        ("all_excluded", {}, "exclude remove NAME"),
        ("no_route", {"family": "IPv6"}, "Give it IPv6"),
        ("own_address", {"address": "203.0.113.1"}, "its own address 203.0.113.1"),
        (
            "ca_paused",
            {"text": "Go to https://ca.example/unpause."},
            "too often: Go to https://ca.example/unpause. Follow",
        ),
        (
            "ca_unreachable",
            {"provider": "le", "text": "refused."},
            "le cannot be reached from this server: refused. AutoSSL tries again",
        ),
        ("ca_server", {"text": "503"}, "The CA had an error of its own: 503. Nothing is wrong with the site."),
        ("ca_terms", {}, "until they are agreed to. Read and agree"),
        ("ca_terms", {"provider": "b own", "text": "Terms changed."}, "b own has changed its terms of service"),
        ("ca_terms", {"provider": "b own"}, "provider use 'b own' --agree-tos --register-only"),
        ("ca_account", {"provider": "b-own"}, "b-own does not take orders of this account."),
        ("ca_eab", {"provider": "b-own"}, "b-own does not take the external account binding."),
        ("connect_timeout", {"reason": "answer"}, "took the connection"),
        ("connect_timeout", {"address": "192.0.2.9"}, "192.0.2.9 does not answer at all. Open port 80"),
        ("redirect_loop", {"name": "a.org"}, "The redirects of a.org do not end. Exempt"),
        ("redirect_refused", {"name": "a.org", "reason": "scheme"}, "a.org redirects to something other"),
        ("dns_timeout", {"detail": "ns1.example did not answer"}, "ns1.example did not answer"),
    ],
)
def test_facts_reach_the_sentence(code: str, data: dict[str, str | int | bool], words: str) -> None:
    assert words in advice(code, data)
