"""What a real nginx answers, held against what we computed and what we wrote into it."""

import itertools
from collections.abc import Iterator

import pytest

from autossl_panel.webservers.nginx import (
    SiteWish,
    TlsWish,
    answers,
    desired,
    moved,
    parse_test_output,
    routing,
    sites,
    without,
)
from tests.webservers.nginx.real import Real, real, shown

WALLS = {
    "return": "return 403;",
    "redirect": "return 301 https://$host$request_uri;",
    "deny": "deny all;",
    "auth": 'auth_basic "closed"; auth_basic_user_file @F/htpasswd;',
    "auth_request": "auth_request /auth; location = /auth { internal; return 401; }",
    "own_location": "location ^~ /.well-known/acme-challenge/ { return 404; }",
    "own_exact_alias": "location /.autossl { deny all; }",
    "regex": r"location ~ /\. { deny all; } location ~ ^/.*$ { return 410; }",
    "dotfiles": r"location ~* /\.(?!well-known) { deny all; } location ~ [a-z] { return 405; }",
    "rewrite": "rewrite ^ /index.php last; location = /index.php { return 418; }",
    "rewrite_break": "rewrite ^(.*)$ /x$1 break; location / { return 402; }",
    "if": 'if ($host != "zz") { return 402; }',
    "if_uri": 'if ($request_uri ~ "acme") { rewrite ^ https://elsewhere.example$request_uri? permanent; }',
    "satisfy": 'satisfy any; deny all; auth_basic "x"; auth_basic_user_file @F/htpasswd;',
    "cache": "open_file_cache max=10 inactive=60s; open_file_cache_errors on; open_file_cache_valid 60s;",
    "proxy": "location / { proxy_pass http://127.0.0.1:9; }",
    "slashes": "merge_slashes off; disable_symlinks on; types { } default_type application/x-php;",
}

BLOCKS = """\
server { listen @A:@HTTP; server_name one.example www.ONE.example; return 200 "$hostname"; }
"""


@pytest.fixture(scope="module")
def walls() -> Iterator[Real]:
    with real() as nginx:
        (nginx.folder / "htpasswd").write_text("x:{PLAIN}y\n")
        for name, wall in WALLS.items():
            label = name.replace("_", "-")
            nginx.site(name, f"server {{\n listen @A:@HTTP;\n server_name {label}.example;\n root @F;\n {wall}\n}}\n")
        configuration = nginx.read()
        found = sites(configuration).sites
        nginx.write(desired(configuration, {site.key: SiteWish() for site in found}, nginx.layout))
        (nginx.layout.helper_dir / "challenges" / "abcDEF-123_token").write_text("the answer")
        nginx.start()
        yield nginx


@pytest.mark.parametrize("name", WALLS)
def test_the_challenge_is_answered_beside(walls: Real, name: str) -> None:
    host = f"{name.replace('_', '-')}.example"
    assert walls.get(walls.a, host, "/.well-known/acme-challenge/abcDEF-123_token") == (200, "the answer")
    status, _body = walls.get(walls.a, host, "/.autossl-challenge/abcDEF-123_token")
    assert status != 200, "the folder is not open by another name"


ROUTES = [
    ("@A:@HTTP", "one.example www.ONE.example"),
    ("@A:@HTTP default_server", "_"),
    ("@B:@HTTP", "one.example"),
    ("@HTTP", "two.example .wild.example"),
    ("@A:@HTTP", "*.wild.example exact.wild.example"),
    ("@HTTP", "deep.wild.example mail.*"),
    ("*:@HTTP default_server", '"" three.example'),
    ("@A:@HTTP", "one.example three.example"),
    ("127.255.255.254:@HTTP", "four.example"),
    ("@A:@HTTPS ssl", "one.example tls.example"),
    ("@HTTPS ssl http2", "two.example"),
]
ASKED = [
    "one.example",
    "www.one.example",
    "two.example",
    "wild.example",
    "x.wild.example",
    "a.b.wild.example",
    "four.example",
    "exact.wild.example",
    "deep.wild.example",
    "mail.one.example",
    "mail.other",
    "three.example",
    "unknown.example",
    "tls.example",
]


def test_the_routing_map_is_what_nginx_answers() -> None:
    with real() as nginx:
        ids = {}
        for number, (listen, names) in enumerate(ROUTES):
            tls = "@PAIR " if "ssl" in listen else ""
            path = nginx.site(
                f"{number:02}", f'server {{ listen {listen}; server_name {names}; {tls}return 200 "{number}"; }}\n'
            )
            ids[f"{path}#1"] = str(number)
        nginx.start()
        configuration = nginx.read()
        asked = 0
        for address, name in itertools.product((nginx.a, nginx.b, "127.255.255.254"), ASKED):
            computed = answers(configuration, address, nginx.http, name)
            assert nginx.get(address, name)[1] == ids[computed or ""], (address, name)
            computed = answers(configuration, address, nginx.https, name)
            answer = nginx.tls(address, name)
            assert answer is not None
            assert answer[2] == ids[computed or ""], (address, name)
            asked += 2
        assert asked == 84
        for (address, port, name), block in routing(configuration).items():
            if name in ("*", "", "_") or "*" in name or address == "0.0.0.0" or port == nginx.https:
                continue
            assert nginx.get(address, name)[1] == ids[block]


SECURED = {
    "plain": "server {\n listen @A:@HTTP;\n server_name plain.example;\n return 200 plain;\n}\n",
    "split": "server { listen @A:@HTTP; server_name split.example; return 301 https://$host$request_uri; }\n"
    "server { listen @A:@HTTPS ssl; server_name split.example; @PAIR return 200 split; }\n",
    "only": "server { listen @A:@HTTP; server_name only.example;\n location = /x { return 200 x; }\n root @F/only;\n"
    " return 301 https://$host:@HTTPS$request_uri; }\n",
    "both": "server { listen @A:@HTTP; listen @A:@HTTPS ssl; server_name both.example; return 200 both; @PAIR }\n",
    "bare": "server { listen @A:@HTTPS ssl; server_name bare.example; return 200 bare; }\n"
    "server { listen @A:@HTTP; server_name bare.example; }\n",
}


def test_sites_are_served_and_a_stranger_is_refused() -> None:
    with real() as nginx:
        for name, text in SECURED.items():
            nginx.site(name, text)
        nginx.site("zz", 'server { listen @A:@HTTP default_server; server_name _; return 200 "catch"; }\n')
        nginx.site("stranger", "server { listen @A:@HTTP; server_name stranger.example; return 200 stranger; }\n")
        (nginx.folder / "only").mkdir()
        (nginx.folder / "only" / "index.html").write_text("only")
        before, start = nginx.read(), nginx.bytes()
        wish = {}
        for site in sites(before).sites:
            if site.name == "stranger.example":
                continue
            live = nginx.layout.helper_dir / "live" / site.key
            nginx.pair(live, site.name)
            wish[site.key] = SiteWish(True, TlsWish(live, (f"www.{site.name}",)))
        edits = desired(before, wish, nginx.layout)
        assert not edits.refused
        nginx.write(edits)
        after = nginx.read()
        assert moved(before, after) == ()
        output = nginx.test()
        assert parse_test_output(output) is None, output
        assert "[warn]" not in output, "no name is given twice"
        nginx.start()
        for site in sites(after).sites:
            if site.name == "stranger.example":
                continue
            live = nginx.layout.helper_dir / "live" / site.key
            assert site.certificate_path == str(live / "fullchain.pem")
            for name in (site.name, f"www.{site.name}"):
                answer = nginx.tls(nginx.a, name)
                assert answer is not None, name
                assert answer[0] == shown(live), name
                assert answer[1:] == (200, site.name.split(".")[0]), name
        assert nginx.tls(nginx.a, "stranger.example") is None
        assert nginx.tls(nginx.a, None) is None
        assert nginx.get(nginx.a, "stranger.example") == (200, "stranger")
        assert nginx.get(nginx.a, "unknown.example") == (200, "catch")
        assert nginx.get(nginx.a, "only.example")[0] == 301
        nginx.write(without(after, None, nginx.layout))
        assert nginx.bytes() == start


def test_a_lost_helper_folder_does_not_stop_nginx() -> None:
    with real() as nginx:
        nginx.site("plain", SECURED["plain"])
        configuration = nginx.read()
        nginx.write(desired(configuration, {site.key: SiteWish() for site in sites(configuration).sites}, nginx.layout))
        nginx.layout.helper_dir.rename(nginx.folder / "lost")
        assert parse_test_output(nginx.test()) is None
        assert not sites(nginx.read()).sites[0].tls


def test_a_socket_for_both_families_gives_tls_to_every_block_on_it() -> None:
    with real() as nginx:
        nginx.site("a", "server { listen [::]:@HTTP; server_name a.example; return 200 a; }\n")
        nginx.site("b", "server { listen [::]:@HTTP ipv6only=off; server_name b.example; return 200 b; }\n")
        before = nginx.read()
        wish = {}
        for site in sites(before).sites:
            live = nginx.layout.helper_dir / "live" / site.key
            nginx.pair(live, site.name)
            wish[site.key] = SiteWish(True, TlsWish(live))
        nginx.write(desired(before, wish, nginx.layout))
        after = nginx.read()
        assert moved(before, after) == ()
        assert moved(after, before) == (), "what we give back is nobody's loss"
        nginx.start()
        for address, name in itertools.product((nginx.a, "::1"), ("a.example", "b.example")):
            answer = nginx.tls(address, name)
            assert answer is not None, (address, name)
            assert answer[2] == name[0]
        assert nginx.tls(nginx.a, "unknown.example") is None
