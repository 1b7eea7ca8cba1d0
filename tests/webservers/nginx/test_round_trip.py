"""What goes in comes out: byte for byte, whatever the admin's files look like."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autossl_panel.webservers.nginx import Edits, SiteWish, TlsWish, desired, sites, without
from tests.webservers.nginx.ground import Ground

CORPUS = {
    "plain": b"server {\n    listen 80;\n    server_name a.example;\n    root /srv/a;\n}\n",
    "no_trailing_newline": b"server {\n\tlisten 80;\n\tserver_name a.example;\n}",
    "crlf": b"server {\r\n  listen 80;\r\n  server_name a.example;\r\n  ssl_certificate /c; # mine\r\n}\r\n",
    "one_line": b"server { listen 80; server_name a.example; root /a; }",
    "tight": b"server{listen 80;server_name a.example;}server{listen 80;server_name b.example;}",
    "brace_below": b"server\n{\n    listen 80;\n    server_name a.example;\n}\n",
    "comment_behind_brace": b"server { # the { first } one;\n  listen 80; server_name a.example;\n}\n",
    "quotes": b'server {\n  server_name "a.example" \'b.example\';\n  add_header X "a } b ; # { \\" c";\n}\n',
    "variables": b'server {\n  server_name a.example;\n  set $x "${host}";\n  add_header Y ${host}x;\n}\n',
    "tls_one_line": b"server { listen 443 ssl; server_name a.example; ssl_certificate /c; ssl_certificate_key /k; }\n",
    "tls": b"server {\n listen 443 ssl;\n server_name a.example;\n ssl_certificate /c;\n ssl_certificate_key /k;\n}\n",
    "tls_spread": b"server {\n listen 443 ssl;\n server_name a.example;\n ssl_certificate\n   /c\n "
    b";ssl_certificate_key\r\n   /k; root /x; # end\n}",
    "split": b"server { listen 80; server_name a.example b.example; return 301 https://$host$request_uri; }\n"
    b"server { listen 443 ssl; server_name a.example; ssl_certificate /c; ssl_certificate_key /k; }\n"
    b"server { listen 443 ssl; server_name b.example;\n\n\nssl_certificate /c;ssl_certificate_key /k;}\n",
    "redirects": b"server {\n listen 80;\n server_name a.example;\n root /a;\n return 301 https://$host$request_uri;\n}\n",
    "families": b"server { listen 80; server_name a.example;}\nserver {\nlisten [::]:80;\n server_name a.example;\n}\n",
    "lua": b'server {\n server_name a.example;\n content_by_lua_block { local x = "}" -- }\n }\n}\n',
    "nearly_empty": b"server {\n}\nserver { }\nserver {}\nserver {\n\n  server_name a.example;}\n",
    "latin1": b"server {\n  # caf\xe9\n  server_name a.example;\n  root /srv/\xe9;\n}\n",
    "lone_cr": b"server {\r  server_name a.example;\r\n}\n",
    "own_marks": b"server {\n  #autossl-offer\n  server_name a.example; #autossl\n}\n",
}


def everything(ground: Ground, *, tls: bool = True) -> Edits:
    layout = ground.layout
    configuration = ground.read()
    wish = {}
    for site in sites(configuration).sites:
        pair = TlsWish(layout.helper_dir / "live" / site.key, (f"www.{site.name}",)) if tls else None
        wish[site.key] = SiteWish(True, pair)
    return desired(configuration, wish, layout)


def there_and_back(ground: Ground) -> None:
    before = ground.bytes()
    attached = everything(ground, tls=False)
    assert attached.files
    ground.write(attached)
    ground.write(everything(ground))
    again = everything(ground)
    assert not again.files, "the same wish once more changes nothing"
    assert again.http_conf is None
    for back in (everything(ground, tls=False), without(ground.read(), None, ground.layout)):
        ground.write(back)
    assert ground.bytes() == before
    ground.write(everything(ground))
    keys = [site.key for site in sites(ground.read()).sites]
    ground.write(without(ground.read(), keys, ground.layout))
    ground.write(without(ground.read(), None, ground.layout))
    assert ground.bytes() == before


@pytest.mark.parametrize("name", CORPUS)
def test_desired_then_without_gives_identical_bytes(ground: Ground, name: str) -> None:
    ground.put("a.conf", CORPUS[name])
    there_and_back(ground)


def test_each_site_alone_gives_its_bytes_back(ground: Ground) -> None:
    for name, content in CORPUS.items():
        ground.put(f"{name}.conf", content.replace(b"a.example", name.encode() + b".a.example"))
    before = ground.bytes()
    ground.write(everything(ground))
    for site in sites(ground.read()).sites:
        ground.write(without(ground.read(), [site.key], ground.layout))
    after = {p: c for p, c in ground.bytes().items() if not p.endswith("nginx.conf")}
    assert after == {p: c for p, c in before.items() if not p.endswith("nginx.conf")}
    ground.write(without(ground.read(), None, ground.layout))
    assert ground.bytes() == before


def test_what_an_admin_changes_meanwhile_stays(ground: Ground) -> None:
    path = ground.put("a.conf", CORPUS["tls"])
    ground.write(everything(ground))
    path.write_bytes(
        path.read_bytes().replace(b"}\n", b" root /new;\n}\n").replace(b" listen 443 ssl;", b"\n listen 443 ssl;")
    )
    ground.write(without(ground.read(), None, ground.layout))
    expected = CORPUS["tls"].replace(b"}\n", b" root /new;\n}\n").replace(b" listen 443 ssl;", b"\n listen 443 ssl;")
    assert path.read_bytes() == expected


def test_links_stay_links(ground: Ground) -> None:
    real = ground.folder / "available.conf"
    real.write_bytes(CORPUS["plain"])
    (ground.folder / "sites" / "a.conf").symlink_to(real)
    edits = everything(ground)
    assert str(real) in edits.files
    assert str(ground.folder / "sites" / "a.conf") not in edits.files


gaps = st.sampled_from([b" ", b"\n", b"\r\n", b"\n\n\t", b" # note ; { }\n", b"\r\n#\r\n  ", b"\t"])
directives = st.sampled_from(
    [
        b"listen 80;", b"listen [::]:80;", b"listen 443 ssl;", b"listen 127.0.0.1:80;", b"root '/srv/x y';",
        b"ssl_certificate /c;", b"ssl_certificate_key \"/k\";", b"ssl_certificate\n  /multi\n;",
        b"return 301 https://$host$request_uri;", b"location / { deny all; }", b"location ~ \\.php$ { return 403; }",
        b'if ($host ~ "^{") { return 404; }', b'add_header X "}#;";', b"set $a '\\'';",
    ]
)  # fmt: skip


@st.composite
def servers(draw: st.DrawFn) -> bytes:
    text = b""
    for _number in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from([b"a.example", b"b.example", b"*.c.example", b"A.example", b".d.example", b"_"]))
        inside = draw(st.lists(directives, max_size=6))
        inside.insert(draw(st.integers(0, len(inside))), b"server_name " + name + b";")
        text += b"server" + draw(st.sampled_from([b"", b" ", b"\n"])) + b"{" + draw(gaps)
        for one in inside:
            text += one + draw(st.sampled_from([b"", b" ", b"\n", b"\r\n    ", b" # x\n"]))
        text += b"}" + draw(st.sampled_from([b"", b"\n", b"\r\n", b" "]))
    return text


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(servers())
def test_any_configuration_comes_back(content: bytes) -> None:
    ground = Ground()
    try:
        ground.put("a.conf", content)
        before = ground.bytes()
        ground.write(everything(ground, tls=False))
        ground.write(everything(ground))
        assert not everything(ground).files
        ground.write(without(ground.read(), None, ground.layout))
        assert ground.bytes() == before
    finally:
        ground.close()
