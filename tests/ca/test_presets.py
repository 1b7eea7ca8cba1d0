"""The table of CAs."""

from autossl_panel.ca.presets import LETS_ENCRYPT, PRESETS, Limit, preset
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


def test_what_lets_encrypt_publishes() -> None:
    found = preset(LETS_ENCRYPT)
    assert found is not None
    assert {(one.name, one.max_names, one.seconds) for one in found.profiles} == {
        ("classic", 100, 7_776_000),
        ("tlsserver", 25, 3_888_000),
        ("shortlived", 25, 576_000),
    }
    assert found.profile("shortlived") == found.profiles[2]
    assert found.profile("gold") is None
    assert {one.kind: (one.number, one.seconds) for one in found.limits} == {
        "orders": (300, 10_800),
        "domain": (50, 604_800),
        "set": (5, 604_800),
        "failures": (5, 3600),
        "consecutive": (1152, 0),
        "requests": (20, 1),
        "registrations": (10, 10_800),
    }
    assert all(one.continuous for one in found.limits if one.seconds)


def test_staging_has_figures_of_its_own_and_who_publishes_nothing_has_none() -> None:
    staging = preset("letsencrypt-staging")
    assert staging is not None
    assert Limit("orders", 1500, 10_800, True) in staging.limits
    assert Limit("failures", 200, 3600, True) in staging.limits
    known = {one.kind for one in PRESETS[0].limits}
    assert {one.kind for one in staging.limits} == known - {"domain"}, "30,000 a second is no limit"
    assert all(known.limits == () == known.profiles for known in PRESETS[2:])
