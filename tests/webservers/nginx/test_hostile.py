"""Configurations as admins really write them, and what they do to ours afterwards: found in review, one test each."""

import pytest

from autossl_panel.webservers.nginx import Edits, SiteWish, TlsWish, desired, key_of, sites, without
from tests.webservers.nginx.ground import Ground

KEY = key_of("a.example")


def secure(ground: Ground, *, extra: tuple[str, ...] = ()) -> Edits:
    wish = SiteWish(True, TlsWish(ground.layout.helper_dir / "live" / KEY, extra))
    return desired(ground.read(), {KEY: wish}, ground.layout)


@pytest.mark.parametrize("name", ["-", "-x.example", "--", "*.x.example", "_x.example"])
def test_a_key_can_be_sent_to_the_helper_whatever_the_name(name: str) -> None:
    assert key_of(name)[0] not in "-."


def test_a_mask_that_excludes_is_read_as_nginx_reads_it(ground: Ground) -> None:
    ground.conf.write_text("events {}\nhttp { include sites/[^.#]*.conf; }\n")
    ground.put("a.conf", "server { listen 80; server_name a.example; }\n")
    ground.put("#b.conf", "server { listen 80; server_name b.example; }\n")
    assert [site.name for site in sites(ground.read()).sites] == ["a.example"]


@pytest.mark.parametrize("mine", ["/etc/nginx/snippets/mine.con[f]"])
def test_an_admins_own_include_by_mask_is_left_alone(ground: Ground, mine: str) -> None:
    ground.put("a.conf", f"server {{\n    listen 80;\n    server_name a.example;\n    include {mine};\n}}\n")
    before = ground.bytes()
    ground.write(desired(ground.read(), {KEY: SiteWish()}, ground.layout))
    assert mine in (ground.folder / "sites" / "a.conf").read_text()
    ground.write(without(ground.read(), None, ground.layout))
    assert ground.bytes() == before


@pytest.mark.parametrize("last", ["ssl_certificate_key k;", "ssl_certificate_key k; # ours", "root /x;"])
def test_extra_names_do_not_vanish_behind_a_line_that_is_switched_off(ground: Ground, last: str) -> None:
    (ground.folder / "names.inc").write_text("server_name a.example;\n")
    lines = f"listen 443 ssl;\n    include names.inc;\n    ssl_certificate c;\n    {last}\n"
    path = ground.put("a.conf", f"server {{\n    {lines}}}\n")
    before = ground.bytes()
    ground.write(secure(ground, extra=("www.a.example",)))
    (found,) = sites(ground.read()).sites
    assert found.name == "a.example"
    named = [line for line in path.read_text().splitlines() if ".names.con[f]" in line]
    assert [line.lstrip().startswith("#") for line in named] == [False]
    assert not secure(ground, extra=("www.a.example",)).files
    ground.write(without(ground.read(), None, ground.layout))
    assert ground.bytes() == before


def test_one_ssl_listener_makes_the_socket_tls_for_every_block_on_it(ground: Ground) -> None:
    pair = "ssl_certificate c; ssl_certificate_key k;"
    ground.put(
        "a.conf",
        f"server {{ listen 443 ssl; server_name o.example; {pair} }}\n"
        f"server {{ listen 80; listen 443; server_name a.example; {pair} }}\n",
    )
    found = {site.name: site for site in sites(ground.read()).sites}
    assert (found["a.example"].tls, found["a.example"].certificate_path) == (True, str(ground.folder / "c"))
    assert "listen" not in (secure(ground).snippets[KEY] or "").split("rewrite")[0]


@pytest.mark.parametrize(
    ("other", "listens"),
    [
        ("stream { server { listen 443; ssl_preread on; proxy_pass x; } }", "listen 80;"),
        ("stream { server { listen 10.0.0.1:443; proxy_pass x; } }", "listen 80;"),
        ("stream { include other.inc; }", "listen 10.0.0.1:80;"),
        ("mail { server { listen [::]:443 ssl; } }", "listen 80; listen [::]:80;"),
    ],
)
def test_a_port_of_another_part_of_nginx_is_not_listened_on_twice(ground: Ground, other: str, listens: str) -> None:
    (ground.folder / "other.inc").write_text("server { listen 443; proxy_pass x; }\n")
    ground.conf.write_text(f"events {{}}\n{other}\nhttp {{ include sites/*.conf; }}\n")
    ground.put("a.conf", f"server {{ {listens} server_name a.example; }}\n")
    edits = secure(ground)
    assert edits.refused[KEY].code == "port_taken"
    assert not edits.files


@pytest.mark.parametrize("other", ["listen 443 udp;", "listen 8443;", "listen 10.0.0.2:443;", "listen unix:/x;"])
def test_a_port_of_another_part_of_nginx_that_does_not_collide_is_no_matter(ground: Ground, other: str) -> None:
    ground.conf.write_text(f"events {{}}\nstream {{ server {{ {other} }} }}\nhttp {{ include sites/*.conf; }}\n")
    ground.put("a.conf", "server { listen 10.0.0.1:80; server_name a.example; }\n")
    assert secure(ground).refused == {}


def test_a_certificate_that_is_chosen_by_a_variable_is_not_replaced(ground: Ground) -> None:
    ground.put("a.conf", "server { listen 443 ssl; server_name a.example; ssl_certificate /c/$ssl_server_name.pem; }\n")
    edits = secure(ground)
    assert edits.refused[KEY].code == "variable_certificate"
    assert not edits.files


SECURED = (
    "server {\n    listen 443 ssl;\n    server_name a.example;\n    ssl_certificate c;\n    ssl_certificate_key k;\n}\n"
)


def test_a_certificate_that_an_admin_put_beside_ours_is_the_one_of_the_site(ground: Ground) -> None:
    path = ground.put("a.conf", SECURED)
    ground.write(secure(ground))
    path.write_text(path.read_text().replace("}\n", "    ssl_certificate bought;\n    ssl_certificate_key bk;\n}\n"))
    (found,) = sites(ground.read()).sites
    assert (found.certificate_path, found.key_path) == (str(ground.folder / "bought"), str(ground.folder / "bk"))


def test_an_admins_block_of_its_own_counts_before_our_sibling(ground: Ground) -> None:
    path = ground.put("a.conf", "server { listen 80; server_name a.example; root /a; return 301 https://$host/; }\n")
    ground.write(secure(ground))
    path.write_text(path.read_text().replace("listen 80;", "listen 80; listen 443 ssl; ssl_certificate bought;"))
    (found,) = sites(ground.read()).sites
    assert found.certificate_path == str(ground.folder / "bought")


def test_an_old_certificate_does_not_come_back_beside_one_that_the_admin_put_there(ground: Ground) -> None:
    path = ground.put("a.conf", SECURED)
    ground.write(secure(ground))
    path.write_text(path.read_text().replace("}\n", "    ssl_certificate bought;\n    ssl_certificate_key bk;\n}\n"))
    ground.write(desired(ground.read(), {KEY: SiteWish()}, ground.layout))
    text = path.read_text()
    assert "#autossl-off" not in text
    assert "    # ssl_certificate c;\n    # ssl_certificate_key k;\n" in text
    ground.write(without(ground.read(), None, ground.layout))
    assert "include" not in path.read_text()
    assert "    ssl_certificate bought;\n" in path.read_text()


def test_taking_all_out_does_not_bring_an_old_certificate_beside_a_new_one(ground: Ground) -> None:
    path = ground.put("a.conf", SECURED)
    ground.put("b.conf", SECURED.replace("a.example", "b.example"))
    keys = (KEY, key_of("b.example"))
    live = ground.layout.helper_dir / "live"
    ground.write(desired(ground.read(), {key: SiteWish(True, TlsWish(live / key)) for key in keys}, ground.layout))
    path.write_text(path.read_text().replace("}\n", "    ssl_certificate bought;\n    ssl_certificate_key bk;\n}\n"))
    ground.write(without(ground.read(), None, ground.layout))
    assert "    # ssl_certificate c;\n    # ssl_certificate_key k;\n" in path.read_text()
    assert (ground.folder / "sites" / "b.conf").read_text() == SECURED.replace("a.example", "b.example")


def test_a_block_on_one_line_keeps_its_text_when_the_old_certificate_stays_off(ground: Ground) -> None:
    path = ground.put("a.conf", "server { listen 443 ssl; server_name a.example; ssl_certificate c; root /x; }\n")
    ground.write(secure(ground))
    path.write_text(path.read_text().replace("root /x;", "root /x; ssl_certificate bought;"))
    ground.write(without(ground.read(), None, ground.layout))
    assert path.read_text() == (
        "server { listen 443 ssl; server_name a.example; # ssl_certificate c;\n root /x; ssl_certificate bought; }\n"
    )


def test_a_block_that_two_sites_of_a_batch_share_keeps_a_certificate(ground: Ground) -> None:
    pair = "ssl_certificate c; ssl_certificate_key k;"
    ground.put(
        "a.conf",
        f"server {{ listen 10.0.0.1:443 ssl; server_name a.example; {pair} }}\n"
        f"server {{ listen 10.0.0.2:443 ssl; server_name b.example a.example; {pair} }}\n",
    )
    live = ground.layout.helper_dir / "live"
    for keys in ((KEY, key_of("b.example")), (key_of("b.example"), KEY)):
        wish = {key: SiteWish(True, TlsWish(live / key)) for key in keys}
        ground.write(desired(ground.read(), wish, ground.layout))
        for server in ground.read().servers[:2]:
            shown = [one.statement.args[0] for one in server.statements if one.statement.name == "ssl_certificate"]
            assert len(shown) == 1
            assert "/live/" in shown[0]
        ground.write(without(ground.read(), None, ground.layout))


def test_no_refusing_default_where_a_block_lives_from_the_certificate_of_the_default(ground: Ground) -> None:
    ground.put(
        "a.conf",
        "server { listen 443 ssl; server_name a.example; ssl_certificate c; ssl_certificate_key k; }\n"
        "server { listen 443 ssl; server_name none.example; }\n",
    )
    # With ssl_reject_handshake in the default, nginx -t wants a certificate in every other block of the socket.
    edits = secure(ground)
    assert edits.refused == {}
    assert edits.http_conf is None
    ground.write(edits)
    ground.put("b.conf", "server { listen 80; server_name b.example; }\n")
    key = key_of("b.example")
    wish = {key: SiteWish(True, TlsWish(ground.layout.helper_dir / "live" / key))}
    assert desired(ground.read(), wish, ground.layout).http_conf is None
    both = {**wish, key_of("none.example"): SiteWish(True, TlsWish(ground.layout.helper_dir / "live" / "x"))}
    assert "ssl_reject_handshake" in (desired(ground.read(), both, ground.layout).http_conf or "")


@pytest.mark.parametrize(("name", "code"), [("b.example", "shared_certificate"), ("_", None)])
def test_a_certificate_shared_with_a_block_that_does_not_get_ours_is_not_switched_off(
    ground: Ground, name: str, code: str | None
) -> None:
    (ground.folder / "pair.inc").write_text("ssl_certificate c;\nssl_certificate_key k;\n")
    ground.put(
        "a.conf",
        "server { listen 10.0.0.1:443 ssl; server_name a.example; include pair.inc; }\n"
        f"server {{ listen 10.0.0.2:443 ssl; server_name {name} a.example; include pair.inc; }}\n",
    )
    edits = secure(ground)
    assert (edits.refused[KEY].code if KEY in edits.refused else None) == code
    ground.write(edits)
    for server in ground.read().servers[:2]:
        assert any(one.statement.name == "ssl_certificate" for one in server.statements)
