"""The table of CAs."""

from autossl_panel.ca.presets import LETS_ENCRYPT, PRESETS, preset
from autossl_panel.ca.transport import target


def test_every_preset_is_usable() -> None:
    assert len({known.slug for known in PRESETS}) == len(PRESETS)
    for known in PRESETS:
        assert target(known.directory_url).port == 443
        assert known.max_names >= 2
        assert not known.private_ca
        assert known.display_name
        assert known.note.endswith(".")


def test_presets_are_found_by_slug() -> None:
    found = preset(LETS_ENCRYPT)
    assert found is not None
    assert found.directory_url == "https://acme-v02.api.letsencrypt.org/directory"
    assert preset("nobody") is None
