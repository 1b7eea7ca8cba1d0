"""Names that nobody wishes a certificate for, one by one or by pattern."""

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from autossl_panel import names as domain_names
from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.autossl.management.base import hosting_user, plural, usage
from autossl_panel.hosting import exclusion_patterns, servers, users
from autossl_panel.hosting.exclusion_patterns import Level
from autossl_panel.hosting.models import Exclusion, ExclusionPattern, FeatureList, Server
from autossl_panel.people.models import User

FOR = "server (all of it), reseller:NAME, feature-list:NAME or user:NAME"


class Command(Base):
    help = "Exclude names from AutoSSL, include them again, or list what is excluded."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        for verb, text in (("add", "exclude names"), ("remove", "include names again")):
            one = verbs.add_parser(verb, help=text)
            one.add_argument("names", nargs="*", metavar="NAME")
            one.add_argument(
                "--pattern", metavar="P", help="all names that match: * is any text, dots too; ? is one character"
            )
            one.add_argument("--for", dest="whose", metavar="WHOSE", help=f"of a pattern: {FOR}")
            if verb == "add":
                one.add_argument("--dry-run", action="store_true", help="of a pattern: say which names match, and stop")
        verbs.add_parser("list", help="what is excluded").add_argument("names", nargs="*", metavar="NAME")

    def work(self, *, verb: str, names: list[str], **given: Any) -> int:
        if verb == "list":
            return self._list(names)
        pattern, whose, dry = given["pattern"], given["whose"], given.get("dry_run", False)
        if (pattern is None) == (not names):
            usage("Give names, or one --pattern.")
        if pattern is None and (whose is not None or dry):
            usage("--for and --dry-run are for a --pattern.")
        if pattern is not None:
            return self._pattern(verb, pattern, _level(servers.this(), whose or "server"), dry)
        now = timezone.now()
        done = users.exclude(names, by=None, now=now) if verb == "add" else users.include(names, by=None, now=now)
        for name in done:
            self.stdout.write(f"{domain_names.to_unicode(name)}: {'excluded' if verb == 'add' else 'included again'}")
        return 0

    def _pattern(self, verb: str, text: str, level: Level, dry: bool) -> int:
        now = timezone.now()
        if verb == "add":
            found = exclusion_patterns.concerned(text, level)
            if not dry:
                exclusion_patterns.add_pattern(text, level, by=None, now=now)
        else:
            row = exclusion_patterns.find_pattern(text, level)
            found = exclusion_patterns.concerned(text, level)
            exclusion_patterns.remove_pattern(row, by=None, now=now)
        what = "would be excluded" if dry else "excluded" if verb == "add" else "no longer excluded by it"
        number = plural(found.names, "name")
        self.stdout.write(f"{domain_names.to_unicode(found.pattern)} ({level.name}): {number} {what}")
        for name in found.sample:
            self.stdout.write(f"  {domain_names.to_unicode(name)}")
        if found.names > len(found.sample):
            self.stdout.write(f"  and {found.names - len(found.sample)} more")
        return 0

    def _list(self, names: list[str]) -> int:
        wanted = {domain_names.normalize(name) for name in names}
        for row in Exclusion.objects.select_related("user").order_by("name"):
            if not wanted or row.name in wanted:
                self.stdout.write(f"{domain_names.to_unicode(row.name)}  {row.user.name}")
        if wanted:
            return 0
        rows = ExclusionPattern.objects.filter(server=servers.this()).order_by("pattern", "pk")
        for one in rows.select_related("server", "owner", "feature_list", "user"):
            level = exclusion_patterns.level_of(one)
            self.stdout.write(f"{domain_names.to_unicode(one.pattern)}  pattern, {level.name}")
        return 0


def _level(server: Server, text: str) -> Level:
    """The level that `--for` names, or a usage problem."""
    kind, _colon, name = text.partition(":")
    if text == "server":
        return Level(server)
    if kind == "user" and name:
        return Level(server, user=hosting_user(server, name))
    if kind == "feature-list" and name:
        feature_list = FeatureList.objects.filter(name=name).first()
        if feature_list is None:
            usage(f"--for: There is no feature list “{name}”.")
        return Level(server, feature_list=feature_list)
    if kind == "reseller" and name:
        person = User.objects.filter(username=name).first()
        if person is None or not person.is_reseller:
            usage(f"--for: There is no reseller “{name}”.")
        return Level(server, owner=person)
    usage(f"--for: “{text}” is not {FOR}.")
