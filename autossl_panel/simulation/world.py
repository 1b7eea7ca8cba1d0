"""A world made from a setting: hosts, weather, CAs, accounts, a panel, and what happens to them on which day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from autossl_panel.autossl.facts import PolicyOptions, ProviderFacts
from autossl_panel.autossl.ledger import Ledger

from .accounts import Account, limits_of
from .agenda import Agenda
from .authorities import REVOKED_AFTER, FakeCa, Move, serial
from .estate import MOST_NAMES, Estate, Shape, build
from .judge import Judge
from .ordering import Orders
from .panel import Manner
from .rows import Rows
from .scenarios import Setting
from .times import DAY, HOUR, MINUTE, POSIX, START, Stretches
from .weather import Spell, Weather, for_good

# All names of a host, also those that come later
ALL = (1 << 63) - 1
# Certificates are asked for once in so many seconds, and so many in a minute (`renewal_info`)
ASKED_EVERY, ASKED_A_MINUTE = int(6.3 * HOUR), 300


class World:
    """All of it, not yet played."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.ends = START + setting.days * DAY
        self.estate = build(setting.hosts, setting.seed, START)
        self.weather = weather_of(self)
        self.off = self._stretches("off", (2, DAY, 3 * DAY))
        self.ca = self._ca("letsencrypt", setting.ari)
        self.ca.moves = self._moves()
        published = limits_of(setting.limits)
        self.accounts: list[Account] = []
        for number in range(setting.accounts):
            shared = self.accounts[0].ledger if self.accounts else None
            name = self.ca.name if not number else f"{self.ca.name}-{number + 1}"
            self.accounts.append(self._account(number, name, self.ca, Ledger(published, shared=shared)))
        self.fallbacks: list[Account] = []
        if "fallback" in setting.scenarios:
            other = replace(self._ca("other", ari=False), published={})
            self.fallbacks.append(self._account(len(self.accounts), "other", other, Ledger(())))
        former = FakeCa("former", {}, setting.lifetime, ari=False)
        number = len(self.accounts) + len(self.fallbacks)
        self.former = self._account(number, "former", former, Ledger(()))
        self.rows = Rows(self.estate)
        self.agenda = Agenda(START)
        self.judge = Judge(
            self.rows,
            self.weather,
            [account.ca for account in (*self.accounts, *self.fallbacks, self.former)],
            [account.ca for account in self.fallbacks],
            off=self.off,
            begins=START,
            most_names=setting.max_names,
        )
        self.panel = Orders(
            self.rows,
            self.weather,
            self.agenda,
            self.accounts,
            self.fallbacks,
            self.judge,
            former=[self.former],
            manner=Manner(setting.seed, setting.in_flight, setting.order_seconds, setting.daily),
        )
        self._first_day()
        self._what_happens()

    def ordered_from(self) -> list[Account]:
        """One account of each CA that is asked for certificates."""
        return [self.accounts[0], *self.fallbacks]

    def random(self, what: str) -> Random:
        """Draws for one thing, whatever else is played."""
        return Random(f"{what} {self.setting.seed}")  # noqa: S311 - a simulated world

    def _stretches(self, what: str, *kinds: tuple[int, int, int], scenario: str = "") -> Stretches:
        """So many times in a year, for so long at least and at most; none where it is not in the setting."""
        if (scenario or what) not in self.setting.scenarios:
            return Stretches()
        random, span = self.random(what), self.setting.days * DAY
        found = []
        for a_year, least, most in kinds:
            for _ in range(max(1, round(a_year * self.setting.days / 365))):
                start = START + int(random.random() * span)
                found.append((start, start + min(random.randint(least, most), span // 8)))
        return Stretches(found)

    # --- CAs ---------------------------------------------------------------------------------------------------------

    def _ca(self, name: str, ari: bool) -> FakeCa:
        setting = self.setting
        published = {kind: (number, float(seconds)) for kind, number, seconds, _continuous in setting.limits}
        short = self._stretches(f"outages {name}", (11, HOUR, 12 * HOUR), scenario="outages")
        long = self._stretches(f"long outages {name}", (1, 2 * DAY, 3 * DAY), scenario="outages")
        slow = self._stretches(f"slow {name}", (1, 3 * DAY, 3 * DAY), scenario="slow")
        return FakeCa(name, published, setting.lifetime, ari, Stretches([*short, *long]), slow)

    def _moves(self) -> list[Move]:
        setting, found = self.setting, []
        if "windows" in setting.scenarios:
            by = setting.lifetime // 30
            found += [Move(self._day(0.3), 0.2, -by), Move(self._day(0.5), 0.2, by)]
        if "revocation" in setting.scenarios:
            found.append(Move(self._day(0.6), 0.1, hurry=True))
        return found

    def _day(self, part: float) -> int:
        return START + int(self.setting.days * DAY * part)

    def _account(self, number: int, name: str, ca: FakeCa, ledger: Ledger) -> Account:
        facts = ProviderFacts(name, self.setting.max_names, account=number)
        return Account(number, ca, facts, ledger, PolicyOptions(facts))

    # --- the first day -----------------------------------------------------------------------------------------------

    def _first_day(self) -> None:
        scenarios, estate = self.setting.scenarios, self.estate
        if "growth" in scenarios:
            random, span = self.random("growth"), self.setting.days * DAY
            for host in range(len(estate)):
                if random.random() < 0.1:
                    estate.seen_at[host] = START + int(random.random() * span)
        if "migration" not in scenarios:
            self._certificates(self.former if "moved" in scenarios else None)
        for host, at in enumerate(estate.seen_at):
            if at == START:
                self.panel.look_at(host, at)
            else:
                self.agenda.at(at, self._appears(host))
        self.agenda.at(START + 3 * HOUR + 12 * MINUTE, self.panel.check_daily)
        self._prune()

    def _appears(self, host: int) -> Callable[[], None]:
        return lambda: self.panel.look_at(host, self.agenda.local)

    def _certificates(self, former: Account | None) -> None:
        """Each site that is there has one, of any age at which it is not renewed yet."""
        life, rows, random = self.setting.lifetime, self.rows, self.random("ages")
        oldest = life // 2 if life < 10 * DAY else life * 64 // 100
        for host in range(len(self.estate)):
            if self.estate.seen_at[host] > START:
                continue
            account = former or self.panel.own(host)
            mask = self.estate.whole(host) & ~self.weather.refused(host, START)
            if mask == 0:
                continue
            at = START - int(random.random() * oldest) - 1
            rows.not_before[host], rows.not_after[host] = at, at + life
            rows.covered[host], rows.account[host] = mask, account.number
            rows.last_passed[host] = at
            if former is None:
                account.ca.oracle.remember(rows.certified(host), at)
                self.panel.hear(host)

    def _prune(self) -> None:
        """Once a week: what nobody asks for again is forgotten."""
        now = self.agenda.now
        for account in self.panel.everywhere:
            account.ledger.prune(now + POSIX)
        self.ca.oracle.prune(now)
        self.panel.room.forget(now + POSIX)
        recent, edge = self.rows.recent, self.panel.moment
        for host in [host for host, orders in recent.items() if (edge - orders[-1][0]).days >= 1]:
            del recent[host]
        self.agenda.at(now + 7 * DAY, self._prune)

    # --- what happens ------------------------------------------------------------------------------------------------

    def _what_happens(self) -> None:
        agenda, panel, scenarios = self.agenda, self.panel, self.setting.scenarios
        for start, end in self.off:
            agenda.at(start, panel.stop)
            agenda.at(end, panel.start)
        for move in self.ca.moves:
            agenda.at(move.at, self._moved(move))
            if move.hurry:
                agenda.at(move.at + REVOKED_AFTER, self._moved(move, within=DAY))
        if "reissue" in scenarios:
            agenda.at(self._day(0.75), self._reissue)
        if "clock" in scenarios:
            random = self.random("clock")
            for at in range(START + 2 * DAY, self.ends, 5 * DAY):
                agenda.at(at, self._set_clock(random.randint(-280, 280)))
        if "growth" in scenarios:
            random = self.random("names")
            for host in range(len(self.estate)):
                if random.random() < 0.02:
                    at = max(self.estate.seen_at[host], START + int(random.random() * (self.ends - START)))
                    agenda.at(at + DAY, self._another_name(host))

    def _moved(self, move: Move, within: int = 0) -> Callable[[], None]:
        # The sweep asks each in its turn.
        turn = within or max(ASKED_EVERY, len(self.estate) * 60 // ASKED_A_MINUTE)

        def event() -> None:
            rows = self.rows
            for host, since in enumerate(rows.not_before):
                alive, by = rows.not_after[host] > self.agenda.now, self.panel.everywhere[rows.account[host]]
                if alive and by.ca is self.ca and move.of(serial(host, since), since):
                    self.panel.hear_by_and_by(host, turn)

        return event

    def _reissue(self) -> None:
        for account in (*self.accounts, *self.fallbacks):
            account.reissue("p384")
        now = self.agenda.now
        self.panel.make_due(host for host, at in enumerate(self.rows.not_after) if at > now)

    def _set_clock(self, ahead: int) -> Callable[[], None]:
        def event() -> None:
            self.agenda.set_clock(ahead)
            for account in self.panel.everywhere:
                account.set_clock(ahead)

        return event

    def _another_name(self, host: int) -> Callable[[], None]:
        def event() -> None:
            if self.estate.counts[host] < MOST_NAMES:
                self.estate.counts[host] += 1
                if not self.rows.live[host]:
                    self.panel.look_at(host, self.agenda.local)

        return event


def weather_of(world: World) -> Weather:
    """What fails in a world."""
    scenarios, estate = world.setting.scenarios, world.estate
    weather = Weather()
    if "dns" in scenarios:
        random = world.random("dns")
        for host in range(len(estate)):
            _fails(weather, estate, host, random, world.ends)
    if "refusals" in scenarios:
        random = world.random("refusals")
        for host in range(len(estate)):
            if random.random() < 0.005:
                start = START + int(random.random() * (world.ends - START))
                mask = ALL if random.random() < 0.3 else 2
                weather.refusals[host] = ((start, start + random.randint(3 * DAY, 20 * DAY), mask),)
    if "resolver" in scenarios:
        weather.dead = world._stretches("resolver", (5, HOUR, 10 * HOUR))
        weather.lying = world._stretches("lies", (2, HOUR, 4 * HOUR), scenario="resolver")
    return weather


def _fails(weather: Weather, estate: Estate, host: int, random: Random, ends: int) -> None:
    """How the names of a host fail, if they do."""
    spells: list[Spell] = []
    last = 1 << estate.counts[host] - 1
    if estate.shapes[host] == Shape.SUBDOMAIN and random.random() < 0.6:
        spells.append(for_good(2))
    draw = random.random()
    if draw < 0.01:  # gone to another server: at first, or one day
        spells.append(for_good(ALL, START + int((ends - START) * max(0.0, random.random() * 2 - 1))))
    elif draw < 0.025:
        spells.append(for_good(last))
    elif draw < 0.03:
        phase = random.choice([HOUR, 6 * HOUR, DAY, 2 * DAY])
        weather.flapping[host] = (ALL if random.random() < 0.5 else last, phase, random.getrandbits(60))
    elif draw < 0.2:
        spells += [_spell(random, ends, ALL) for _ in range(random.randint(1, 2))]
    elif draw < 0.25:
        spells.append(_spell(random, ends, last))
    if spells:
        weather.spells[host] = tuple(spells)


def _spell(random: Random, ends: int, mask: int) -> Spell:
    start = START + int(random.random() * (ends - START))
    return start, start + random.randint(DAY, 10 * DAY), mask
