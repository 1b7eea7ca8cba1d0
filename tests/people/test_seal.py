"""Sealed texts open for their purpose, unchanged, in time, with the same secret key; for nothing else."""

from datetime import timedelta

import pytest

from autossl_panel.people.seal import SealBroken, seal, unseal


def test_a_text_comes_back():
    token = seal("JBSWY3DP ü", "totp")
    assert "JBSWY3DP" not in token
    assert unseal(token, "totp") == "JBSWY3DP ü"
    assert unseal(token, "totp", timedelta(minutes=1)) == "JBSWY3DP ü"


def test_it_opens_for_nothing_else(settings):
    token = seal("secret", "totp")
    for wrong, purpose in ((token, "post"), (token[:-2] + "AA", "totp"), ("", "totp"), ("ü", "totp")):
        with pytest.raises(SealBroken):
            unseal(wrong, purpose)
    with pytest.raises(SealBroken):
        unseal(token, "totp", timedelta(seconds=-1))
    settings.SECRET_KEY = "another" * 10
    with pytest.raises(SealBroken):
        unseal(token, "totp")
