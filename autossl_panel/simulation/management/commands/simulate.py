"""Play years of a server through: do the rules let anything expire, does the ledger run into a limit?"""

import argparse
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from autossl_panel.autossl.management.base import FAILED, failed, usage
from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.simulation import capacity, large, report, scenarios
from autossl_panel.simulation.judge import Tally
from autossl_panel.simulation.play import play
from autossl_panel.simulation.scenarios import Setting, SettingProblem


class Command(Base):
    help = (
        "Play a server's days through in simulated time: the real rules, priorities and ledger of limits, against CAs "
        "that count by themselves, names that fail, outages, revocations. The last line is JSON; exit status 1 where a "
        "certificate expired that could have been renewed, or a CA refused an order by a limit. Nothing is read from "
        "the database or sent anywhere."
    )
    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        words = "\n".join(f"  {name:11} {text}" for name, text in scenarios.SCENARIOS.items())
        epilog = f"scenarios:\n  year        {', '.join(scenarios.YEAR)} (where none is named)\n{words}"
        kwargs |= {"epilog": epilog, "formatter_class": argparse.RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--hosts", type=int, default=30_000, help="virtual hosts (30000)")
        parser.add_argument("--days", type=int, default=365, help="days to play (365)")
        parser.add_argument("--lifetime", default="90d", help="of certificates: 90d, 64d, 45d, 160h (90d)")
        parser.add_argument("--limits", default="letsencrypt", help="letsencrypt, none, or a JSON file (letsencrypt)")
        parser.add_argument(
            "--ari", action=argparse.BooleanOptionalAction, default=True, help="whether the CA has renewal information"
        )
        parser.add_argument("--scenario", action="append", default=[], metavar="NAME[,NAME…]", help="what happens")
        parser.add_argument("--accounts", type=int, default=1, help="accounts at the CA that users are spread over (1)")
        parser.add_argument("--in-flight", type=int, default=8, help="orders worked on at once (8)")
        parser.add_argument("--order-seconds", type=float, default=5.0, help="about how long an order takes (5)")
        parser.add_argument("--seed", type=int, default=1, help="another number, another course of events (1)")
        parser.add_argument("--brief", action="store_true", help="the line of JSON alone, and what went wrong")
        parser.add_argument("--capacity", type=Path, metavar="FILE", help="write what an account carries to FILE")

        parser.add_argument(
            "--large", action="store_true", help="with --capacity: play the year of 1,000,000 anew, about ten minutes"
        )

    def work(self, *args: Any, **options: Any) -> int:
        if options["capacity"] is not None:
            return self._capacity(options["capacity"], largest=options["large"])
        if options["large"]:
            usage("--large goes with --capacity.")
        try:
            setting = Setting(
                hosts=options["hosts"],
                days=options["days"],
                lifetime=scenarios.lifetime(options["lifetime"]),
                limits=scenarios.limits(options["limits"]),
                ari=options["ari"],
                scenarios=scenarios.scenarios(options["scenario"] or ["year"]),
                seed=options["seed"],
                accounts=options["accounts"],
                in_flight=options["in_flight"],
                order_seconds=options["order_seconds"],
            )
        except SettingProblem as problem:
            usage(f"--{problem.field}: {problem.text}")
        self.stderr.write(report.heading(setting))
        result = play(setting, self._tell)
        text = report.as_text(result)
        if not options["brief"]:
            self.stdout.write(f"{text}\n\n")
        elif not result.good:
            self.stderr.write(text)
        self.stdout.write(report.as_json(result))
        return 0 if result.good else FAILED

    def _tell(self, day: int, tally: Tally) -> None:
        self.stderr.write(f"  day {day:,}: {tally.orders:,} orders")
        self.stderr.flush()

    def _capacity(self, path: Path, *, largest: bool) -> int:
        figures, today = path.with_suffix(".json"), date.today()  # noqa: DTZ011
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            known = large.read(figures)
            played = []
            for hosts in (large.USUAL, *([large.LARGEST] if largest else [])):
                self.stderr.write(f"a year of {hosts:,} sites")
                played.append(large.play(hosts, large.DAYS, today))
            kept = large.keep(figures, known, played)
            page = capacity.as_markdown(capacity.measure(say=self.stderr.write, today=today, large=kept))
            path.write_text(page, encoding="utf-8")
        except OSError as error:
            failed(f"--capacity {path}: {error.strerror or error}")
        except large.LargeProblem as problem:
            failed(f"--capacity: {problem}")
        return 0
