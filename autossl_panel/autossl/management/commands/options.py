"""The settings of the Options tab on the command line."""

from argparse import ArgumentParser
from typing import Any

from autossl_panel.autossl import options as heart
from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.autossl.management.base import usage
from autossl_panel.hosting import servers


class Command(Base):
    help = "Show the options, or set them: options set resolvers=192.0.2.53 daily_at=03:12 (lists by comma, times UTC)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        get = verbs.add_parser("get", help="show all options, or those named")
        get.add_argument("names", nargs="*", metavar="KEY")
        set_ = verbs.add_parser("set", help="set options; a problem changes none of them")
        set_.add_argument("pairs", nargs="+", metavar="KEY=VALUE")

    def work(self, *, verb: str, names: list[str] | None = None, pairs: list[str] | None = None, **_: Any) -> int:
        server = servers.this()
        if verb == "set":
            values = {}
            for pair in pairs or []:
                key, equals, value = pair.partition("=")
                if not equals:
                    usage(f"“{pair}” is not KEY=VALUE.")
                values[key] = value
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
