"""The estate is a server as the panel leaves it: each site attached, with a certificate of ours that fits."""

from __future__ import annotations

from pathlib import Path

from autossl_panel import pki
from autossl_panel.webservers import nginx
from bench import estate


def test_every_site_is_attached_and_has_a_sound_pair(tmp_path: Path) -> None:
    place = estate.build(tmp_path / "estate", users=3, each=2)
    assert (place.users, place.sites) == (3, 6)
    configuration = nginx.read(place.conf, prefix=place.conf.parent)
    found = nginx.sites(configuration).sites
    assert len(found) == 6
    assert nginx.unchanged(configuration)
    for site in found:
        assert site.attached
        assert site.tls
        assert site.certificate_path == f"{place.helper}/live/{site.key}/fullchain.pem"
        chain = Path(site.certificate_path).read_bytes()
        facts = pki.read_chain(chain)
        assert facts.names == site.names
        assert facts.links
        assert site.key_path is not None
        assert pki.same_key(chain, Path(site.key_path).read_bytes())
