"""Leases are one holder's at a time, and the dead lose them."""

import subprocess
import threading

import pytest
from django.db import connection

from autossl_panel.autossl import leases
from autossl_panel.autossl.models import Lease
from tests.support.patience import within


@pytest.mark.django_db
def test_a_lease_is_one_holders_until_it_is_given_back() -> None:
    assert leases.take("install:1", "a", 30)
    assert not leases.take("install:1", "b", 30)
    assert leases.take("install:1", "a", 30), "its holder may take it again"
    leases.release("install:1", "b")
    assert not leases.take("install:1", "b", 30), "only its holder gives it back"
    leases.release("install:1", "a")
    assert leases.take("install:1", "b", 30)


@pytest.mark.django_db
def test_a_lease_that_ran_out_is_anybodys_and_cannot_be_renewed() -> None:
    assert leases.take("survey:7", "a", -1)
    assert not leases.renew("survey:7", "a", 30), "it is late: somebody else may have begun"
    assert leases.take("survey:7", "b", 30)
    assert leases.renew("survey:7", "b", 30)
    assert not leases.renew("survey:7", "a", 30)


@pytest.mark.django_db
def test_of_a_clock_that_is_set_back_no_lease_lasts_longer_than_it_was_taken_for() -> None:
    living = leases.new_holder()
    assert leases.take("sweep:1", living, 8 * 3600), "taken for a minute while the clock was eight hours ahead"
    assert not leases.take("sweep:1", "b", 50), "its holder may be at work"
    assert Lease.objects.filter(name="sweep:1", holder=living, until__lte=leases.later(50)).exists()
    leases.take("sweep:2", living, 8 * 3600)
    assert not leases.take("sweep:2", "b", -1), "not in the moment when it is seen"
    assert leases.take("sweep:2", "b", 50), "but when what it may last is over"
    assert not leases.renew("sweep:2", living, 50), "and it is no longer its holder's"


@pytest.mark.django_db
def test_who_works_under_a_lease_keeps_it_when_the_clock_is_set_back() -> None:
    with leases.kept("install:1", "a", 60) as ours:
        assert ours
        Lease.objects.update(until=leases.later(8 * 3600))
        assert not leases.take("install:1", "b", 60)
        assert leases.renew("install:1", "a", 60)
        Lease.objects.update(until=leases.later(8 * 3600))
        assert leases.renew("install:1", "a", 60), "also before anybody else wants it"
        assert Lease.objects.filter(until__lte=leases.later(60)).exists()


@pytest.mark.django_db
def test_other_lengths_of_the_same_lease_are_no_clock_set_back() -> None:
    assert leases.take("install:1", "a", 60)
    assert not leases.take("install:1", "b", 1)
    assert Lease.objects.filter(until__gt=leases.later(30)).exists()


@pytest.mark.django_db
def test_nobody_is_at_work_under_a_lease_that_lasts_far_too_long() -> None:
    assert leases.take("survey:1", leases.new_holder(), 30)
    assert leases.held("survey:1")
    Lease.objects.update(until=leases.later(8 * 3600))
    assert not leases.held("survey:1")


@pytest.mark.django_db
def test_what_nobody_holds_is_forgotten_and_can_be_taken_anew() -> None:
    for number in range(3):
        with leases.kept(f"survey:{number}", "a", 30):
            pass
    leases.take("looked:1", "told", -2 * leases.FORGOTTEN_AFTER)
    leases.take("sweep:1", "a", -1)
    leases.take("install:1", "a", 30)
    assert leases.forget() == 4
    assert set(Lease.objects.values_list("name", flat=True)) == {"sweep:1", "install:1"}
    assert leases.take("survey:1", "b", 30)


@pytest.mark.django_db
def test_leases_of_different_names_do_not_meet() -> None:
    assert leases.take("install:1", "a", 30)
    assert leases.take("install:2", "b", 30)


@pytest.mark.django_db(transaction=True)
def test_of_many_that_want_it_at_once_one_gets_it() -> None:
    start = threading.Barrier(8)
    got: list[str] = []

    def want(holder: str) -> None:
        start.wait()
        if leases.take("install:1", holder, 30):
            got.append(holder)
        connection.close()

    threads = [threading.Thread(target=want, args=(f"h{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    assert Lease.objects.get(name="install:1").holder == got[0]


@pytest.mark.django_db(transaction=True)
def test_a_kept_lease_outlives_its_length_while_the_work_lasts() -> None:
    signs: list[int] = []
    with leases.kept("survey:1", "a", 6, also=lambda: signs.append(1)) as ours:
        assert ours
        ended = Lease.objects.get().until
        # Every second it is to last longer than before: what it does so once it does as long as the work lasts.
        assert within(lambda: Lease.objects.filter(until__gt=ended).exists())
        assert not leases.take("survey:1", "b", 30)
        with leases.kept("survey:1", "b", 30) as other:
            assert not other
    assert signs
    assert leases.take("survey:1", "b", 30)


def test_no_two_holders_have_the_same_name() -> None:
    assert len({leases.new_holder() for _ in range(100)}) == 100


def test_a_holder_of_this_machine_is_gone_when_its_process_is() -> None:
    mine = leases.new_holder()
    assert not leases.gone(mine)
    place, pid, _started, number = mine.split(":")
    assert leases.gone(f"{place}:{pid}:1:{number}"), "another process has the number now"
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    assert leases.gone(f"{place}:{ended.pid}:123:{number}")
    assert not leases.gone(f"elsewhere-1:{ended.pid}:123:{number}"), "of other machines nothing is known"
    assert not leases.gone("")
    assert len(mine) <= 64


@pytest.mark.django_db
def test_the_lease_of_a_process_that_is_gone_is_free_at_once() -> None:
    dead = leases.new_holder().split(":")
    dead[2] = "1"
    assert leases.take("install:1", ":".join(dead), 300)
    assert leases.take("install:1", leases.new_holder(), 30)
