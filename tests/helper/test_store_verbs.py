"""The verbs of the store through the socket: keys, CSRs, staged pairs, challenges; and what survives a kill."""

from __future__ import annotations

import multiprocessing
import os
import stat
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from autossl_panel import pki
from autossl_panel.helper import files
from autossl_panel.helper.client import Client, HelperGone, HelperProblem
from autossl_panel.helper.server import Server
from autossl_panel.helper.settings import Settings
from tests.helper.issuer import Issuer

KEY = "example.com-0a1b2c3d"
NAMES = ("example.com", "www.example.com")
TOKEN = "t0ken_-" * 4
THUMBPRINT = "Ab-_" * 10 + "xyz"


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


def test_csr_carries_the_names_and_is_the_same_again(client: Client) -> None:
    csr = client.gen_csr("order-1", KEY, NAMES, "p256")
    assert pki.csr_names(csr) == NAMES
    assert client.gen_csr("order-1", KEY, NAMES, "p256") == csr
    assert client.gen_csr("order-2", KEY, NAMES, "p256") != csr
    assert client.status().requested == {"order-1": KEY, "order-2": KEY}


def test_csr_of_one_order_from_many_threads_is_one(client: Client) -> None:
    with ThreadPoolExecutor(12) as pool:
        csrs = set(pool.map(lambda _n: client.gen_csr("order-1", KEY, NAMES, "p256"), range(24)))
    assert len(csrs) == 1


def _work(socket: str, process: int) -> set[str]:
    """What one worker process of the test does: four threads, each with orders of its own."""
    with Client(socket) as client, ThreadPoolExecutor(4) as pool:

        def one(number: int) -> str:
            order = f"p{process}-{number}"
            client.challenge_put(f"{TOKEN}-{order}", "0f" * 32)
            client.gen_csr(order, KEY, NAMES, "p256")
            client.challenge_del([f"{TOKEN}-{order}"])
            return order

        return set(pool.map(one, range(20)))


def test_many_processes_with_many_threads(client: Client, settings: Settings) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(3, mp_context=context) as pool:
        orders = set().union(*pool.map(_work, [str(settings.socket)] * 3, range(3)))
    assert len(orders) == 60
    assert set(client.status().requested) == orders
    assert list((settings.folder / "challenges").iterdir()) == []


@pytest.mark.parametrize(
    ("key", "names", "key_type"),
    [(KEY, ("example.com",), "p256"), ("other.com-0a1b2c3d", NAMES, "p256"), (KEY, NAMES, "p384")],
)
def test_order_is_for_one_site_and_set(client: Client, key: str, names: tuple[str, ...], key_type: str) -> None:
    client.gen_csr("order-1", KEY, NAMES, "p256")
    with pytest.raises(HelperProblem) as refused:
        client.gen_csr("order-1", key, names, key_type)
    assert refused.value.code == "conflict"


def test_private_key_is_for_its_owner_only(client: Client, settings: Settings) -> None:
    client.gen_csr("order-1", KEY, NAMES, "p256")
    path = settings.folder / "staged" / "order-1" / "privkey.pem"
    assert b"PRIVATE KEY" in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((settings.folder / "staged").stat().st_mode) == 0o700


def test_staged_pair_is_kept_and_told(client: Client, settings: Settings, issuer: Issuer) -> None:
    chain = issuer.issue(client.gen_csr("order-1", KEY, NAMES, "p256"))
    facts = client.stage("order-1", chain)
    assert facts == pki.read_chain(chain)
    assert client.stage("order-1", chain) == facts
    assert (settings.folder / "staged/order-1/fullchain.pem").read_bytes() == chain
    assert client.status().staged == {"order-1": KEY}


def test_pair_that_does_not_fit_is_not_staged(client: Client, issuer: Issuer) -> None:
    client.gen_csr("order-1", KEY, NAMES, "p256")
    other = issuer.issue(client.gen_csr("order-2", KEY, NAMES, "p256"))
    for chain, code in ((other, "pair_mismatch"), (b"no certificate", "pair_unreadable")):
        with pytest.raises(HelperProblem) as refused:
            client.stage("order-1", chain)
        assert refused.value.code == code
    with pytest.raises(HelperProblem) as refused:
        client.stage("order-3", other)
    assert refused.value.code == "unknown_order"
    assert client.status().staged == {}


def test_challenge_is_answered_until_removed(client: Client, settings: Settings) -> None:
    path = settings.folder / "challenges" / TOKEN
    client.challenge_put(TOKEN, "0f" * 32)
    assert path.read_bytes() == b"0f" * 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    client.challenge_del([TOKEN, "never-was-there-at-all"])
    assert not path.exists()


def test_a_ping_changes_nothing(client: Client, settings: Settings) -> None:
    path = settings.folder / "challenges" / TOKEN
    client.challenge_put(TOKEN, "0f" * 32)
    client.ping()
    assert path.exists()
    with Client(settings.folder / "nobody.sock") as other, pytest.raises(HelperGone):
        other.ping()


def test_challenge_body_is_a_registered_thumbprint(client: Client, settings: Settings) -> None:
    body = f"{TOKEN}.{THUMBPRINT}"
    with pytest.raises(HelperProblem) as refused:
        client.challenge_put(TOKEN, body)
    assert refused.value.code == "refused"
    client.register_thumbprint(THUMBPRINT)
    client.challenge_put(TOKEN, body)
    with pytest.raises(HelperProblem):
        client.challenge_put("another-token-here", body)
    assert (settings.folder / "challenges" / TOKEN).read_text() == body


def test_thumbprints_survive_a_restart(settings: Settings) -> None:
    for put in (False, True):
        with Server(settings) as started:
            thread = threading.Thread(target=started.serve_forever)
            thread.start()
            with Client(settings.socket) as client:
                if put:
                    client.challenge_put(TOKEN, f"{TOKEN}.{THUMBPRINT}")
                else:
                    client.register_thumbprint(THUMBPRINT)
            started.stop()
            thread.join()
    assert (settings.folder / "challenges" / TOKEN).exists()


def test_drafts_of_a_killed_helper_are_swept(settings: Settings) -> None:
    for folder in ("", "staged", "challenges", "versions", "live"):
        parent = settings.folder / folder
        parent.mkdir(parents=True, exist_ok=True)
        (parent / f"{files.TEMPORARY}0011").mkdir()
        (parent / f"{files.TEMPORARY}0011" / "privkey.pem").write_text("half")
        (parent / f"{files.TEMPORARY}0022").write_text("half")
    with Server(settings):
        left = [path for path in settings.folder.rglob("*") if path.name.startswith(files.TEMPORARY)]
    assert left == []


def test_prune_keeps_what_is_named_young_or_live(client: Client, server: Server, settings: Settings) -> None:
    for order in ("old", "old-kept", "young"):
        client.gen_csr(order, KEY, NAMES, "p256")
    for order in ("old", "old-kept"):
        os.utime(settings.folder / "staged" / order, (0, 0))
    client.challenge_put(TOKEN, "0f" * 32)
    os.utime(settings.folder / "challenges" / TOKEN, (0, 0))
    pruned = client.prune(["old-kept"])
    assert (pruned.orders, pruned.versions, pruned.challenges) == (1, 0, 1)
    assert set(client.status().requested) == {"old-kept", "young"}


def test_full_disk_is_told_and_loses_nothing(client: Client, settings: Settings, issuer: Issuer) -> None:
    chain = issuer.issue(client.gen_csr("order-1", KEY, NAMES, "p256"))
    key = (settings.folder / "staged/order-1/privkey.pem").read_bytes()
    chain_path = settings.folder / "staged/order-1/fullchain.pem"
    chain_path.mkdir()  # a rename onto a folder fails, as a write to a full disk does, for root as well
    with pytest.raises(HelperProblem) as refused:
        client.stage("order-1", chain)
    assert refused.value.code == "disk"
    assert str(chain_path) in refused.value.text
    chain_path.rmdir()
    assert (settings.folder / "staged/order-1/privkey.pem").read_bytes() == key
    assert client.stage("order-1", chain).names == NAMES


def test_version_is_complete_and_immutable(server: Server, client: Client, issuer: Issuer) -> None:
    chain = issuer.issue(client.gen_csr("order-1", KEY, NAMES, "p256"))
    facts = client.stage("order-1", chain)
    store = server.service.store
    version = store.version("order-1")
    assert version.folder == store.versions / KEY / facts.serial
    assert (version.folder / "fullchain.pem").read_bytes() == chain
    key = (version.folder / "privkey.pem").read_bytes()
    assert (version.folder / "combined.pem").read_bytes() == key + chain
    assert {stat.S_IMODE((version.folder / name).stat().st_mode) for name in ("privkey.pem", "combined.pem")} == {0o600}
    assert store.version("order-1") == version
    store.settle("order-1")
    # What was installed is still known by its order, key and all.
    assert store.version("order-1") == version
    assert client.stage("order-1", chain) == facts


def test_owner_rule(folder: Path) -> None:
    path = folder / "site.conf"
    path.write_text("server {}")
    files.must_be_trusted(path)
    path.chmod(0o666)
    with pytest.raises(files.ForeignOwner):
        files.must_be_trusted(path)
    path.chmod(0o644)
    (folder / "link.conf").symlink_to(path)
    with pytest.raises(files.ForeignOwner):
        files.must_be_trusted(folder / "link.conf")
