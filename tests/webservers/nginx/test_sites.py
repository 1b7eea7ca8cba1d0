"""Which sites a configuration has, what is skipped and told, and what cannot be read."""

import os

import pytest

from autossl_panel.webservers.nginx import ConfigurationProblem, Listen, key_of, read, sites, unchanged
from tests.webservers.nginx.ground import Ground


def test_a_name_belongs_to_the_first_tls_block_else_to_the_first_plain_one(ground: Ground) -> None:
    ground.put(
        "a.conf",
        "server { listen 80; server_name A.example b.example plain.example; }\n"
        "server { listen 443 ssl; server_name a.example; ssl_certificate c.pem; ssl_certificate_key k.pem; root /a; }\n"
        "server { listen 443 ssl; server_name a.example b.example; }\n",
    )
    found = sites(ground.read())
    assert {site.name: site.names for site in found.sites} == {
        "plain.example": ("plain.example",),
        "a.example": ("a.example",),
        "b.example": ("b.example",),
    }
    site = next(site for site in found.sites if site.name == "a.example")
    assert (site.tls, site.line, site.docroot) == (True, 2, "/a")
    assert site.certificate_path == str(ground.folder / "c.pem")
    assert site.listens == (Listen("0.0.0.0", 443, True), Listen("0.0.0.0", 80))
    assert [(told.name, told.reason, told.line) for told in found.told] == [("a.example", "duplicate", 3)]


def test_names_that_no_certificate_can_hold_are_skipped_with_the_reason(ground: Ground) -> None:
    ground.put("a.conf", "server { server_name _ '' ~^x$ www.a.* $host bücher.example *.w.example .d.example; }\n")
    found = sites(ground.read())
    assert [(one.name, one.reason) for one in found.skipped] == [
        ("~^x$", "regex"),
        ("www.a.*", "wildcard_suffix"),
        ("$host", "variable"),
        ("bücher.example", "not_ascii"),
    ]
    assert found.sites[0].names == ("d.example", "*.w.example", "*.d.example")
    assert found.sites[0].key == key_of("d.example")


def test_listens_in_every_form(ground: Ground) -> None:
    ground.put(
        "a.conf",
        "server { listen 8080; listen *:81; listen 10.0.0.1; listen [::1]:82 ssl; listen [::0]:83 default_server;"
        " listen unix:/run/x.sock; listen localhost:84; listen 90-91; listen 443 quic; server_name a.example; }\n",
    )
    assert sites(ground.read()).sites[0].listens == (
        Listen("0.0.0.0", 8080),
        Listen("0.0.0.0", 81),
        Listen("10.0.0.1", 80),
        Listen("::1", 82, True),
        Listen("::", 83, False, True),
        Listen("unix:/run/x.sock", 0),
        Listen("localhost", 84),
        Listen("0.0.0.0", 90),
        Listen("0.0.0.0", 91),
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return 301 https://$host$request_uri;", True),
        ("return https://a.example$request_uri;", True),
        ("return 301 https://elsewhere.example$request_uri;", False),
        ("rewrite ^/(.*)$ https://$server_name/$1 permanent;", True),
        ("rewrite ^/old https://$host/new permanent;", False),
        ("location / { return 301 https://$host$request_uri; }", True),
        ("location /x { return 301 https://$host$request_uri; }", False),
        ("if ($scheme = http) { return 301 https://$host$request_uri; }", False),
        ("if ($host = a.example) { return 301 https://$host$request_uri; }", True),
        ("return 301 http://$host$request_uri;", False),
    ],
)
def test_what_redirects_to_itself_over_https(ground: Ground, body: str, expected: bool) -> None:
    ground.put("a.conf", f"server {{ server_name a.example; {body} }}\n")
    assert sites(ground.read()).sites[0].redirects_only is expected


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("server {\n server_name a\n}\n", 3),
        ("server {\n", 2),
        ("}\n", 1),
        ('\nserver { add_header X "a; }\n', 2),
        ("server { a 'b'c; }", 1),
        ("\n\ninclude /nowhere.conf;\n", 3),
    ],
)
def test_a_broken_file_is_told_with_its_line(ground: Ground, content: str, line: int) -> None:
    path = ground.put("a.conf", content)
    with pytest.raises(ConfigurationProblem) as caught:
        ground.read()
    assert (caught.value.file, caught.value.line) == (str(path), line)


def test_includes_that_include_one_another_end(ground: Ground) -> None:
    ground.put("a.conf", "include sites/a.conf;\n")
    with pytest.raises(ConfigurationProblem, match="one another"):
        ground.read()


def test_every_change_is_seen_by_stat(ground: Ground) -> None:
    path = ground.put("a.conf", "server { listen 443 ssl; server_name a.example; ssl_certificate c.pem; }\n")
    configuration = ground.read()
    assert unchanged(configuration)
    (ground.folder / "c.pem").write_text("x")
    assert not unchanged(configuration)
    configuration = ground.read()
    new = ground.put("b.conf", "server { server_name b.example; }\n")
    assert not unchanged(configuration)
    new.unlink()
    configuration = ground.read()
    os.utime(path, ns=(1, 1))
    assert not unchanged(configuration)
    path.unlink()
    assert not unchanged(configuration)


def test_what_has_not_changed_is_not_parsed_again(ground: Ground) -> None:
    same = ground.put("a.conf", "server { server_name a.example; }\n")
    other = ground.put("b.conf", "server { server_name b.example; }\n")
    first = ground.read()
    other.write_text("server { server_name longer.example; }\n")
    second = read(ground.conf, previous=first)
    assert second.trees[str(same)] is first.trees[str(same)]
    assert [site.name for site in sites(second).sites] == ["a.example", "longer.example"]


def test_a_file_included_twice_is_one_site(ground: Ground) -> None:
    ground.conf.write_text("events {}\nhttp { include sites/a.conf; include sites/a.conf; }\n")
    ground.put("a.conf", "server { server_name a.example; }\n")
    found = sites(ground.read())
    assert [site.name for site in found.sites] == ["a.example"]
    assert [one.reason for one in found.told] == ["duplicate"]
