"""Advice: every code has sentences of its own, whatever facts are missing."""

import pytest
from django.utils import translation

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
        ("ca_terms", {"provider": "b-own", "title": "B’s own CA"}, "B’s own CA has changed its terms of service"),
        ("ca_terms", {"provider": "b-own", "title": "B’s own CA"}, "provider use b-own --agree-tos --register-only"),
        ("rate_limited", {"provider": "le", "title": "Let’s Encrypt", "text": "Slow."}, "Let’s Encrypt refuses it"),
        ("ca_server", {"provider": "le", "title": "Let’s Encrypt"}, "Let’s Encrypt had an error of its own."),
        ("ca_eab", {"provider": "le", "title": "Let’s Encrypt"}, "Let’s Encrypt does not take"),
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


SHOP = {"name": "shop.org"}
OLD, OTHER, HERE, SIX = "198.51.100.7", "198.51.100.8", "203.0.113.10", "2001:db8::7"


@pytest.mark.parametrize(
    ("code", "data", "english", "german"),
    [
        (
            "elsewhere",
            {},
            "shop.org points to another server, and the file was not found there. Point its A record to this server.",
            "shop.org zeigt auf einen anderen Server, und die Datei wurde dort nicht gefunden. Richten Sie den "
            "A-Eintrag auf diesen Server.",
        ),
        (
            "elsewhere",
            {"from": [], "to": [HERE], "status": 404},
            "shop.org points to another server, and the file was not found there (status 404). Change its A record to "
            "203.0.113.10.",
            "shop.org zeigt auf einen anderen Server, und die Datei wurde dort nicht gefunden (Status 404). Ändern Sie "
            "den A-Eintrag auf 203.0.113.10.",
        ),
        (
            "elsewhere",
            {"from": [SIX], "to": []},
            "shop.org has the AAAA record 2001:db8::7, which is not this server, and the file was not found there. "
            "Remove that record, or point it to this server.",
            "shop.org hat den AAAA-Eintrag 2001:db8::7, das ist nicht dieser Server, und die Datei wurde dort nicht "
            "gefunden. Entfernen Sie den Eintrag, oder richten Sie ihn auf diesen Server.",
        ),
        (
            "elsewhere",
            {"from": [OLD, SIX], "to": [HERE, "203.0.113.11"], "record": "A"},
            "shop.org points to 198.51.100.7 and 2001:db8::7, which are not this server, and the file was not found "
            "there. Replace these records by one that points to 203.0.113.10 or 203.0.113.11.",
            "shop.org zeigt auf 198.51.100.7 und 2001:db8::7, das ist nicht dieser Server, und die Datei wurde dort "
            "nicht gefunden. Ersetzen Sie diese Einträge durch einen, der auf 203.0.113.10 oder 203.0.113.11 zeigt.",
        ),
        (
            "elsewhere",
            {"from": [OLD, OTHER, "198.51.100.9"]},
            "shop.org points to 198.51.100.7, 198.51.100.8 and 198.51.100.9, which are not this server, and the file "
            "was not found there. Remove these records, or point them to this server.",
            "shop.org zeigt auf 198.51.100.7, 198.51.100.8 und 198.51.100.9, das ist nicht dieser Server, und die "
            "Datei wurde dort nicht gefunden. Entfernen Sie diese Einträge, oder richten Sie sie auf diesen Server.",
        ),
        (
            "elsewhere",
            {"cdn": "Fastly"},
            "shop.org is behind Fastly, and the file was not found there. Let Fastly pass "
            "/.well-known/acme-challenge/ to this server over HTTP.",
            "shop.org liegt hinter Fastly, und die Datei wurde dort nicht gefunden. Lassen Sie Fastly "
            "/.well-known/acme-challenge/ über HTTP an diesen Server durchreichen.",
        ),
        (
            "elsewhere",
            {"cdn": "Fastly", "from": [OLD, OTHER]},
            "shop.org is behind Fastly (198.51.100.7 and 198.51.100.8), and the file was not found there. Let Fastly "
            "pass /.well-known/acme-challenge/ to this server over HTTP.",
            "shop.org liegt hinter Fastly (198.51.100.7 und 198.51.100.8), und die Datei wurde dort nicht gefunden. "
            "Lassen Sie Fastly /.well-known/acme-challenge/ über HTTP an diesen Server durchreichen.",
        ),
        (
            "ipv6_elsewhere",
            {"status": 404},
            "shop.org works over IPv4, but its AAAA record leads elsewhere (status 404). Remove the AAAA record, or "
            "point it to this server's IPv6 address.",
            "shop.org funktioniert über IPv4, aber der AAAA-Eintrag zeigt woandershin (Status 404). Entfernen Sie den "
            "AAAA-Eintrag, oder richten Sie ihn auf die IPv6-Adresse dieses Servers.",
        ),
        (
            "ipv6_elsewhere",
            {"ours": True},
            "shop.org works over IPv4, but not over IPv6: its AAAA record points to this server, which does not give "
            "the file. Let the web server listen for this site on that address too, or remove the AAAA record.",
            "shop.org funktioniert über IPv4, aber nicht über IPv6: der AAAA-Eintrag zeigt auf diesen Server, und der "
            "liefert die Datei nicht. Lassen Sie den Webserver für diese Website auch auf dieser Adresse lauschen, "
            "oder entfernen Sie den AAAA-Eintrag.",
        ),
        (
            "http_status",
            {"status": 403, "server": "openresty", "url": "http://shop.org/"},
            "openresty answered 403 for http://shop.org/. Exempt /.well-known/acme-challenge/ from access and firewall "
            "rules.",
            "openresty antwortete mit 403 auf http://shop.org/. Nehmen Sie /.well-known/acme-challenge/ von Zugriffs- "
            "und Firewallregeln aus.",
        ),
        (
            "wrong_body",
            {"address": OLD, "url": "http://shop.org/"},
            "The web server at 198.51.100.7 answered with another page for http://shop.org/. Exempt "
            "/.well-known/acme-challenge/ from rewriting, caching and maintenance pages.",
            "Der Webserver auf 198.51.100.7 antwortete mit einer anderen Seite auf http://shop.org/. Nehmen Sie "
            "/.well-known/acme-challenge/ von Umschreiben, Caches und Wartungsseiten aus.",
        ),
        (
            "private_address",
            {},
            "shop.org has an address that cannot be reached from the internet. Publish this server's public address "
            "instead.",
            "shop.org hat eine Adresse, die aus dem Internet nicht zu erreichen ist. Veröffentlichen Sie stattdessen "
            "die öffentliche Adresse dieses Servers.",
        ),
        (
            "unknown",
            {"reason": "no_route", "record": "AAAA"},
            "shop.org has an IPv6 address, but this server has no IPv6 connection to test it.",
            "shop.org hat eine IPv6-Adresse, aber dieser Server hat keine IPv6-Verbindung, um sie zu prüfen.",
        ),
        (
            "unknown",
            {"reason": "own_address_timeout"},
            "This server does not reach its own address. Check its firewall, and whether its router lets it reach "
            "itself.",
            "Dieser Server erreicht seine eigene Adresse nicht. Prüfen Sie seine Firewall und ob sein Router ihn sich "
            "selbst erreichen lässt.",
        ),
        (
            "dns_timeout",
            {"record": "CAA"},
            "The nameservers did not answer in time when asked for the CAA records of shop.org. Check that the "
            "nameservers of its zone are up and reachable.",
            "Die Nameserver antworteten nicht rechtzeitig, als nach den CAA-Einträgen von shop.org gefragt wurde. "
            "Prüfen Sie, ob die Nameserver der Zone laufen und erreichbar sind.",
        ),
    ],
)
def test_addresses_and_records_that_are_none_one_or_several(
    code: str, data: dict[str, object], english: str, german: str
) -> None:
    assert advice(code, {**SHOP, **data}) == english
    with translation.override("de"):
        assert advice(code, {**SHOP, **data}) == german
