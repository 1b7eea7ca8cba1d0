"""The settings of the Options tab on the command line."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from autossl_panel.autossl import forecasting
from autossl_panel.autossl import options as heart
from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.autossl.management.base import failed, plural, usage
from autossl_panel.hosting import servers
from autossl_panel.hosting.models import Server


class Command(Base):
    help = "Show the options, or set them: options set resolvers=192.0.2.53 daily_at=03:12 (lists by comma, times UTC)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        get = verbs.add_parser("get", help="show all options, or those named")
        get.add_argument("names", nargs="*", metavar="KEY")
        set_ = verbs.add_parser("set", help="set options; a problem changes none of them")
        set_.add_argument("pairs", nargs="+", metavar="KEY=VALUE")
        set_.add_argument("--yes", action="store_true", help="re-issue what reissue=yes means without a question")

    def work(
        self,
        *,
        verb: str,
        names: list[str] | None = None,
        pairs: list[str] | None = None,
        yes: bool = False,
        **_: Any,
    ) -> int:
        server = servers.this()
        if verb == "set":
            values = {}
            for pair in pairs or []:
                key, equals, value = pair.partition("=")
                if not equals:
                    usage(f"“{pair}” is not KEY=VALUE.")
                values[key] = value
            if not self._is_meant(server, values, yes=yes):
                failed("Nothing was changed.")
            row = heart.change(server, values, by=None)
            names = list(values)
        else:
            row = heart.current(server)
        texts = heart.texts(row)
        for name in names or list(texts):
            if name not in texts:
                raise heart.OptionProblem(name, f"There is no such option. There are: {', '.join(texts)}.")
            self.stdout.write(f"{name}={texts[name]}")
        return 0

    def _is_meant(self, server: Server, values: dict[str, str], *, yes: bool) -> bool:
        """Whether what is set begins no re-issue, or somebody wants it who has read how many and until when."""
        before = heart.current(server)
        wanted = heart.check(values)
        key_type = wanted.get("key_type", before.key_type)
        under_way = before.reissue and before.key_type == key_type
        if not wanted.get("reissue") or under_way:
            return True
        meant = forecasting.reissue(server, key_type, timezone.now())
        if not meant.certificates:
            return True
        self.stdout.write(_told(key_type, meant))
        if yes:
            return True
        if not sys.stdin.isatty():
            usage("reissue: there is no terminal to ask whether to issue them anew; say so with --yes.")
        self.stdout.write("Issue them anew? [y/N] ", ending="")
        self.stdout.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")


def _told(key_type: str, meant: forecasting.Reissue) -> str:
    """How many certificates are issued anew, and until when."""
    n = meant.certificates
    what = f"{plural(n, 'certificate')} {'has' if n == 1 else 'have'} another key type than {key_type}"
    when = f"the last one not before {meant.until:%Y-%m-%d %H:%M} UTC" if meant.until else "once a provider is in use"
    return f"{what}: issued anew after everything that is due, within the CA's limits; {when}."
