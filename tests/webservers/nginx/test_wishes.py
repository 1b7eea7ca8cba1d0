"""What is written for a wish, and what is refused: nobody else's row may change."""

import pytest

from autossl_panel.webservers.nginx import (
    ConfigurationProblem,
    Edits,
    SiteWish,
    TlsWish,
    desired,
    key_of,
    moved,
    parse_test_output,
    without,
)
from tests.webservers.nginx.ground import Ground


def secure(ground: Ground, *names: str, extra: tuple[str, ...] = ()) -> Edits:
    wish = {
        key_of(name): SiteWish(True, TlsWish(ground.layout.helper_dir / "live" / key_of(name), extra)) for name in names
    }
    return desired(ground.read(), wish, ground.layout)


def listens(edits: Edits, name: str) -> list[str]:
    text = edits.snippets[key_of(name)] or ""
    return [line[len("listen ") : -1] for line in text.splitlines() if line.startswith("listen")]


@pytest.mark.parametrize(
    ("others", "own", "expected"),
    [
        ("", "listen 80;", ["443 ssl"]),
        ("", "listen 80; listen [::]:80;", ["443 ssl", "[::]:443 ssl"]),
        ("", "listen 10.0.0.1:80;", ["10.0.0.1:443 ssl"]),
        ("", "listen [2001:db8::1]:80;", ["[2001:db8::1]:443 ssl"]),
        ("listen 443 ssl http2;", "listen 10.0.0.1:80;", ["443 ssl http2"]),
        ("listen 10.0.0.1:443 ssl;", "listen 10.0.0.1:80;", ["10.0.0.1:443 ssl"]),
        ("listen 10.0.0.1:443 ssl;", "listen 80;", ["10.0.0.1:443 ssl"]),
        ("listen 443 ssl; listen 10.0.0.1:443 ssl;", "listen 80;", ["443 ssl", "10.0.0.1:443 ssl"]),
        ("listen [::]:443 ssl ipv6only=off;", "listen 80;", ["[::]:443 ssl"]),
        ("", "listen [::]:80 ipv6only=off;", ["[::]:443 ssl", "443 ssl"]),
    ],
)
def test_tls_listeners_take_the_form_of_the_others(ground: Ground, others: str, own: str, expected: list[str]) -> None:
    if others:
        ground.put("0.conf", f"server {{ {others} server_name other.example; ssl_certificate c; }}\n")
    ground.put("a.conf", f"server {{ {own} server_name a.example; }}\n")
    before = ground.read()
    edits = secure(ground, "a.example")
    assert listens(edits, "a.example") == expected
    ground.write(edits)
    assert moved(before, ground.read()) == ()


def test_a_specific_address_does_not_steal_from_a_site_that_is_on_the_wildcard(ground: Ground) -> None:
    ground.put("a.conf", "server { listen 80; server_name a.example; }\n")
    ground.put("b.conf", "server { listen 10.0.0.1:80; server_name b.example; }\n")
    for name in ("a.example", "b.example"):
        edits = secure(ground, name)
        assert listens(edits, name) == ["443 ssl"]
        ground.write(edits)


def test_a_default_that_an_admin_chose_is_kept(ground: Ground) -> None:
    ground.put("0.conf", "server { listen 443 ssl default_server; server_name other.example; ssl_certificate c; }\n")
    ground.put("a.conf", "server { listen 80; server_name a.example; }\n")
    assert secure(ground, "a.example").http_conf is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (
            "server { listen 443; server_name o.example; } server { listen 80; server_name a.example; }",
            "plain_https_port",
        ),
        ("server { listen 8080; server_name a.example; }", "no_http_listener"),
        ("server { listen unix:/x; server_name a.example; }", "no_http_listener"),
        ("server { listen 80; server_name a.example; return 301 https://$host$request_uri; }", "nothing_to_serve"),
        ("server { listen 443 ssl; server_name a.example; ssl_reject_handshake on; }", "rejects"),
        ("server { listen 80; server_name other.example; }", "gone"),
        (
            "server { listen 443 ssl; server_name a.example; include ssl.inc; }"
            "server { listen 443 ssl; server_name b.example; include ssl.inc; }",
            "shared_certificate",
        ),
    ],
)
def test_what_cannot_be_done_safely_is_refused_and_nothing_changes(ground: Ground, text: str, code: str) -> None:
    (ground.folder / "ssl.inc").write_text("ssl_certificate c;\nssl_certificate_key k;\n")
    ground.put("a.conf", text)
    edits = secure(ground, "a.example")
    assert edits.refused[key_of("a.example")].code == code
    assert (edits.files, edits.snippets, edits.http_conf) == ({}, {}, None)


def test_a_refused_site_does_not_hold_up_the_others(ground: Ground) -> None:
    ground.put("a.conf", "server { listen 81; server_name a.example; }\nserver { listen 80; server_name b.example; }\n")
    edits = secure(ground, "a.example", "b.example")
    assert list(edits.refused) == [key_of("a.example")]
    assert listens(edits, "b.example") == ["443 ssl"]


def test_certificate_lines_of_an_include_of_its_own_are_switched_off_and_on_again(ground: Ground) -> None:
    inc = ground.folder / "ssl.inc"
    inc.write_text("ssl_certificate c;\nssl_certificate_key k;\n")
    ground.put("a.conf", "server { listen 443 ssl; server_name a.example; include ssl.inc; }\n")
    before = inc.read_bytes()
    ground.write(secure(ground, "a.example"))
    assert b"#autossl-off ssl_certificate c;" in inc.read_bytes()
    ground.write(without(ground.read(), [key_of("a.example")], ground.layout))
    assert inc.read_bytes() == before


def test_a_refusal_at_http_level_is_lifted_for_the_site(ground: Ground) -> None:
    ground.conf.write_text("events {}\nhttp { ssl_reject_handshake on; include sites/*.conf; }\n")
    ground.put("a.conf", "server { listen 443 ssl; server_name a.example; }\n")
    assert "ssl_reject_handshake off;" in (secure(ground, "a.example").snippets[key_of("a.example")] or "")


@pytest.mark.parametrize("other", ["www.a.example", "*.a.example", "www.a.*", r"~^www\.(?<rest>.+)$", ".a.example"])
def test_an_extra_name_that_others_answer_for_is_left_out(ground: Ground, other: str) -> None:
    ground.put("a.conf", f"server {{ server_name a.example; }}\nserver {{ server_name {other}; }}\n")
    edits = secure(ground, "a.example", extra=("www.a.example", "free.a-example.example"))
    assert edits.left_out == {key_of("a.example"): ("www.a.example",)}
    assert edits.snippets[key_of("a.example") + ".names"] == "server_name free.a-example.example;\n"


def test_a_shared_block_has_one_challenge_only(ground: Ground) -> None:
    text = "server { listen 80; server_name a.example b.example; }\n"
    for name in ("a", "b"):
        text += f"server {{ listen 443 ssl; server_name {name}.example; ssl_certificate c; }}\n"
    path = ground.put("a.conf", text)
    ground.write(secure(ground, "a.example"))
    ground.write(secure(ground, "b.example"))
    assert path.read_text().splitlines()[0].count("include") == 1
    assert not secure(ground, "a.example", "b.example").files


def test_the_sibling_is_kept_in_step(ground: Ground) -> None:
    path = ground.put("a.conf", "server { listen 80; server_name a.example; root /a; return 301 https://$host/; }\n")
    ground.write(secure(ground, "a.example"))
    path.write_text(path.read_text().replace("/a;", "/new;"))
    edits = secure(ground, "a.example")
    assert "root /new;" in (edits.http_conf or "")
    assert "return 301" not in (edits.http_conf or "")
    ground.write(edits)
    path.write_text(path.read_text().replace("return 301 https://$host/;", ""))
    edits = secure(ground, "a.example")
    assert listens(edits, "a.example") == ["443 ssl"]
    assert "# site" not in (edits.http_conf or "")


def test_a_file_that_changed_meanwhile_is_not_edited(ground: Ground) -> None:
    path = ground.put("a.conf", "server { listen 80; server_name a.example; }\n")
    configuration = ground.read()
    path.write_text("server { listen 80; server_name longer.example; }\n")
    with pytest.raises(ConfigurationProblem, match="meanwhile"):
        desired(configuration, {key_of("a.example"): SiteWish()}, ground.layout)


def test_the_words_of_nginx_about_a_fault() -> None:
    text = (
        'nginx: [alert] could not open error log file: open() "/x" failed (13: Permission denied)\n'
        '2026/01/02 03:04:05 [warn] 12#12: conflicting server name "a" on 0.0.0.0:80, ignored\n'
        'nginx: [emerg] unknown directive "lsten" in /etc/nginx/a b.conf:7\n'
        "nginx: configuration file /etc/nginx/nginx.conf test failed\n"
    )
    problem = parse_test_output(text)
    assert problem is not None
    assert (problem.text, problem.file, problem.line) == (
        'unknown directive "lsten"',
        "/etc/nginx/a b.conf",
        7,
    )
    assert parse_test_output("nginx: the configuration file /x syntax is ok\nnginx: ... test is successful\n") is None
    loaded = parse_test_output('nginx: [emerg] cannot load certificate "/x": BIO_new_file() failed\ntest failed\n')
    assert loaded is not None
    assert loaded.file == ""
