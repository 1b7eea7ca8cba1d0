"""One edit in the making: which lines and snippets a site gets. Whether others are harmed is judged in `wishes`."""

import itertools
import re
from collections.abc import Collection, Iterable, Mapping

from autossl_panel.webservers.model import ConfigurationProblem, Edits, Layout, Refusal, SiteWish, TlsWish
from autossl_panel.webservers.nginx import render
from autossl_panel.webservers.nginx.blocks import IMPLIED, Block, blocks, inherited, stem_of
from autossl_panel.webservers.nginx.edit import OFF, Drafts
from autossl_panel.webservers.nginx.listening import Sockets
from autossl_panel.webservers.nginx.read import Configuration, Placed
from autossl_panel.webservers.nginx.routing import listeners
from autossl_panel.webservers.nginx.sites import Whole, redirects_only, wholes

_STEM = re.compile(r"^(.*-[0-9a-f]{8})(?:\.\d+)?(\.names)?$")
_UNSAFE = re.compile(r"[*?\[\]\"'\\\x00-\x1f{};$#]")
_CERTIFICATE = ("ssl_certificate", "ssl_certificate_key")


class Refused(Exception):
    def __init__(self, code: str, text: str, at: Placed | None = None) -> None:
        super().__init__(text)
        self.refusal = Refusal(code, text, at.file if at else "", at.statement.line if at else None)


def key_of_stem(stem: str) -> str:
    """The key of the site that a snippet is for."""
    found = _STEM.match(stem)
    return found[1] if found else stem


class Work:
    """One edit in the making."""

    def __init__(self, configuration: Configuration, layout: Layout) -> None:
        if _UNSAFE.search(str(layout.helper_dir)):
            raise ConfigurationProblem("the helper's folder has characters in its path that nginx's masks cannot take")
        self.configuration, self.layout = configuration, layout
        self.blocks = blocks(configuration)
        self.sites = wholes(self.blocks)
        self.sockets = Sockets(self.blocks, layout, configuration.elsewhere)
        self.drafts = Drafts(configuration)
        self.refused_above = "on" in inherited(configuration, "ssl_reject_handshake")
        self.mains = {whole.main.number: key for key, whole in self.sites.items()}
        self.named: dict[str, set[int]] = {}
        for block in self.blocks:
            for name in block.admins.names if not block.panels else ():
                self.named.setdefault(name, set()).add(block.number)
        self.listeners = listeners(self.blocks)
        self.snippets: dict[str, str | None] = {}
        self.sections = render.sections(self.http_text())
        self.stems: dict[tuple[str, int], str] = {}
        self.left_out: dict[str, tuple[str, ...]] = {}
        self.taken: dict[str, str] = {}
        self.refusing: set[str] = set()
        self.paired: dict[int, bool] = {}  # the blocks that this edit gives our pair, or takes it from

    def http_text(self) -> str:
        path = self.layout.helper_dir / "http.conf"
        return path.read_text("utf-8", "surrogateescape") if path.exists() else ""

    # -- which snippet a block includes

    def stem(self, whole: Whole, part: Block) -> str | None:
        """The stem of the snippet that a part shall include for this site; None where another site's is there."""
        where = (part.placed.real_path, part.statement.start)
        if where in self.stems:
            stem = self.stems[where]
            return stem if key_of_stem(stem) == whole.key else None
        for include in part.includes:
            stem = stem_of(include) or ""
            other = self.sites.get(key_of_stem(stem))
            if stem.endswith(".names") or other is None or part not in other.parts:
                continue
            if other is whole or part is not whole.main:
                self.stems[where] = stem
                return stem if other is whole else None
        stem = whole.key
        if part is not whole.main:
            used = {stem_of(include) for one in whole.parts for include in one.includes}
            used |= {self.stems.get((one.placed.real_path, one.statement.start)) for one in whole.parts}
            stem = next(free for n in itertools.count(1) if (free := f"{whole.key}.{n}") not in used)
        self.stems[where] = stem
        return stem

    def claim(self, keys: Iterable[str]) -> None:
        """Keep the main blocks of these sites for their own snippets."""
        for key in keys:
            if (whole := self.sites.get(key)) is not None:
                self.stem(whole, whole.main)

    def put_include(self, part: Block, stem: str, names: bool) -> None:
        """The lines that bring a part's snippets in; those of another site or of no use any more go."""
        draft = self.drafts.at(part.placed)
        wanted = {stem, f"{stem}.names"} if names else {stem}
        there = set()
        for include in part.includes:
            found = stem_of(include) or ""
            if found in wanted and not include.via:
                there.add(found)
            elif not include.via and (not found.endswith(".names") or key_of_stem(found) == key_of_stem(stem)):
                draft.take_out(include.statement)
        if stem not in there:
            draft.include_first(part.statement, render.mask(self.layout, stem))
        if names and f"{stem}.names" not in there:
            own = [one.statement for one in part.admins.statements if not one.via and one.statement.body < 0]
            # Behind a certificate it would end in the comment that switches that off.
            named = [one for one in own if one.name == "server_name"] or [o for o in own if o.name not in _CERTIFICATE]
            draft.include_after(named[-1], render.mask(self.layout, f"{stem}.names"))

    # -- one site

    def site(self, whole: Whole, wish: SiteWish) -> None:
        for part in whole.parts:
            if not self.drafts.sound(part.placed.real_path):
                raise Refused("ambiguous", "The file is written so that its end of words is in doubt.", part.placed)
        if not wish.challenge and wish.tls is None:
            self.detach(whole)
            return
        text = {part.number: render.challenge(self.layout) if wish.challenge else "" for part in whole.parts}
        names = self.extra_names(whole, (*wish.extra_names, *(wish.tls.extra_names if wish.tls else ())))
        section = None
        if wish.tls is not None:
            section = self.tls(whole, wish.tls, names, text)
        else:
            for part in whole.parts:
                self.restore(whole, part)
        self.sections.pop(whole.key, None)
        if section is not None:
            self.sections[whole.key] = section
        for part in whole.parts:
            if (stem := self.stem(whole, part)) is None:
                continue
            extra = names and whole.names[0] in part.admins.names and bool(self.own_statements(part))
            self.put_include(part, stem, bool(extra))
            self.snippets[stem] = text[part.number]
            if extra:
                self.snippets[f"{stem}.names"] = f"server_name {' '.join(names)};\n"

    @staticmethod
    def own_statements(part: Block) -> list[Placed]:
        return [
            one
            for one in part.admins.statements
            if not one.via and one.statement.body < 0 and one.statement.name not in _CERTIFICATE
        ]

    def extra_names(self, whole: Whole, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Those that nobody else has, in any form that nginx would match."""
        parts = self.own(whole)
        mine, theirs = [], []
        for name in dict.fromkeys(wanted):
            if self.named.get(name, set()) & parts:
                continue
            if self.named.get(name) or self.taken.setdefault(name, whole.key) != whole.key or self.held(whole, name):
                theirs.append(name)
            else:
                mine.append(name)
        if theirs:
            self.left_out[whole.key] = tuple(theirs)
        return tuple(mine)

    def own(self, whole: Whole) -> set[int]:
        """The numbers of the site's parts that are not the main block of another site."""
        return {part.number for part in whole.parts if self.mains.get(part.number, whole.key) == whole.key}

    def held(self, whole: Whole, name: str) -> bool:
        """A wildcard or an expression of somebody else's answers for the name on a socket of this site."""
        parts = self.own(whole)
        for part in whole.parts:
            for socket in part.sockets:
                listener = self.listeners[socket.listen.address, socket.listen.port]
                block = listener.answers(name)
                if block is not None and block is not listener.default and block.number not in parts:
                    if not block.panels:
                        return True
                elif any(_matches(regex, name) and b.number not in parts for regex, b in listener.regexes):
                    return True
        return False

    def tls(self, whole: Whole, tls: TlsWish, names: tuple[str, ...], text: dict[int, str]) -> str | None:
        """Adds the pair and the sockets to the parts' snippets; returns the sibling block where one is needed."""
        pair = render.certificate(tls.live_folder, refused_above=self.refused_above)
        if whole.main.admins.tls:
            for part in whole.parts:
                if part.admins.tls and self.alone(whole, part):
                    self.switch_off(whole, part)
                    text[part.number] = pair + text[part.number]
                    self.paired[part.number] = True
                    https = [s.listen for s in part.admins.sockets if s.listen.port == self.layout.https_port]
                    self.refusing.update(listen.address for listen in https)
            return None
        addresses = {part.number: self.sockets.wanted(part) for part in whole.parts}
        every = list(dict.fromkeys(address for some in addresses.values() for address in some))
        if not every:
            raise Refused(
                "no_http_listener", f"No server block of the site listens on port {self.layout.http_port}.",
                whole.main.placed,
            )  # fmt: skip
        for address in every:
            if (other := self.sockets.taken(address)) is not None:
                where = render.endpoint(address, self.layout.https_port)
                why = f"The stream or mail block of nginx's configuration listens on {where}, so that no site can."
                raise Refused("port_taken", why, other)
            if (listener := self.sockets.at(address)) is not None and not listener.ssl:
                where = render.endpoint(address, self.layout.https_port)
                raise Refused("plain_https_port", f"Others speak plain HTTP on {where}.", whole.main.placed)
        self.refusing.update(every)
        listens = {
            address: render.listen(address, self.layout.https_port, self.sockets.flags(address)) for address in every
        }
        if redirects_only(whole):
            return self.sibling(whole, pair, "".join(listens.values()), names)
        for part in whole.parts:
            if addresses[part.number]:
                self.switch_off(whole, part)
                implied = f"listen {IMPLIED};\n" if part.admins.implied else ""
                own = "".join(listens[address] for address in addresses[part.number])
                text[part.number] = implied + own + pair + text[part.number]
                self.paired[part.number] = True
        return None

    @staticmethod
    def alone(whole: Whole, part: Block) -> bool:
        """Whether the part answers for no other site, so that it gets the site's certificate."""
        return part is whole.main or set(part.admins.names) - {"", "_"} <= set(whole.names)

    def switch_off(self, whole: Whole, part: Block) -> None:
        """Comment out the certificate that the part has: beside ours it would go on being served."""
        admins = part.admins
        for one in admins.all("ssl_reject_handshake"):
            if "on" in one.statement.args:
                raise Refused("rejects", "The server block refuses every TLS handshake (ssl_reject_handshake).", one)
        for one in (found for name in _CERTIFICATE for found in admins.all(name)):
            if any("$" in arg for arg in one.statement.args):
                text = "The server block chooses its certificate by a variable; what it serves cannot be known."
                raise Refused("variable_certificate", text, one)
            if one.via:
                own = [
                    p
                    for p in whole.parts
                    if self.alone(whole, p) and any(o.real_path == one.real_path for o in p.admins.statements)
                ]
                others = self.configuration.includes.get(one.real_path, 0) - len(own)
                if others > 0:
                    raise Refused(
                        "shared_certificate",
                        f"The certificate comes from {one.file}, which {others} other server blocks include as well. "
                        "Move these lines into the server block.",
                        one,
                    )
                if not self.drafts.sound(one.real_path):
                    raise Refused("ambiguous", "The file is written so that its end of words is in doubt.", one)
            self.drafts.at(one).comment_out(one.statement)

    def restore(self, whole: Whole, part: Block) -> None:
        """Put the admin's own certificate lines back, in the part and in the files that only it includes."""
        draft = self.drafts.at(part.placed)
        own = OFF in draft.content[part.statement.start : part.statement.end] or bool(self.quiet(part))
        self.paired[part.number] = own or bool(part.admins.all("ssl_certificate"))
        # Beside a certificate that the admin has put there since, the old one must not come back.
        replaced = bool(part.admins.all("ssl_certificate"))
        draft.comment_in(part.statement.start, part.statement.end, for_good=replaced)
        for real_path in {one.real_path for one in part.admins.statements} | self.quiet(part):
            if real_path != part.placed.real_path and self.configuration.includes.get(real_path, 0) <= len(whole.parts):
                draft = self.drafts.of(real_path)
                draft.comment_in(0, len(draft.content), for_good=replaced)

    def quiet(self, part: Block) -> set[str]:
        """Files that the part includes and that have no directive left: all that was in them is switched off."""
        found = set()
        for one in part.admins.statements:
            if one.statement.name == "include" and (path := self._included(one)) in self.configuration.trees:
                found.add(path)
        return found

    def _included(self, one: Placed) -> str:
        path = self.configuration.conf.parent / one.statement.args[0]
        return str(path.resolve())

    def sibling(self, whole: Whole, pair: str, listens: str, names: tuple[str, ...]) -> str:
        """The block for HTTPS beside one that redirects there: the same without the redirect."""
        main = whole.main.admins
        dropped = {id(one.statement) for one in main.redirections}
        flat = {id(one.via[-1].statement) for one in (*main.redirections, *main.all("listen")) if one.via}
        flat |= {id(via.statement) for one in main.statements if id(one.statement) in dropped for via in one.via}
        kept, serves = [], False
        for one in main.statements:
            statement = one.statement
            if statement.name in ("listen", "ssl", *_CERTIFICATE) or id(statement) in dropped or id(statement) in flat:
                continue
            if one.via and not all(id(via.statement) in flat for via in one.via):
                continue
            serves |= statement.name in ("root", "location", "return", "if", "rewrite", "include")
            kept.append(self.drafts.at(one).content[statement.start : statement.end].decode("utf-8", "surrogateescape"))
        if not serves:
            raise Refused(
                "nothing_to_serve",
                "The server block only redirects to HTTPS and says nothing about what to serve there.",
                main.redirections[0],
            )
        extra = [f"server_name {' '.join(names)};"] if names else []
        body = "\n".join([*kept, *extra]) + "\n"
        return render.section(whole.key, listens + pair + render.challenge(self.layout) + body)

    def detach(self, whole: Whole) -> None:
        """Take out what is ours in a site's blocks, but not what another site has in a shared one."""
        self.sections.pop(whole.key, None)
        for part in whole.parts:
            removed = False
            for include in part.includes:
                if not include.via and key_of_stem(stem_of(include) or "") == whole.key:
                    self.drafts.at(include).take_out(include.statement)
                    self.snippets[stem_of(include) or ""] = None
                    removed = True
            if removed or part is whole.main:
                self.restore(whole, part)

    # -- the http level

    def http_conf(self, changed: Collection[str]) -> str:
        """The whole http-level file, with the refusing defaults that all our TLS sites need together."""
        for block in self.blocks:
            if block.panels:
                continue
            keys = {key_of_stem(stem_of(one) or "") for one in block.includes}
            # What our snippets brought into sites that this edit leaves alone.
            if not keys & set(changed) and any(
                one.via and stem_of(one.via[-1]) for one in block.all("ssl_certificate")
            ):
                self.refusing.update(s.listen.address for s in block.sockets if s.listen.port == self.layout.https_port)
        for key in self.sections.keys() - set(changed):
            if (whole := self.sites.get(key)) is not None:
                self.refusing.update(a for part in whole.parts for a in self.sockets.wanted(part))
            else:
                del self.sections[key]
        port = self.layout.https_port
        bare = self.without_certificate()
        refusing = [
            render.listen(address, port, self.sockets.flags(address), default=True)
            for address in sorted(self.refusing)
            if self.sockets.needs_refusal(address) and address not in bare and not address.startswith("unix:")
        ]
        return render.http_file(refusing, (self.sections[key] for key in sorted(self.sections)))

    def without_certificate(self) -> set[str]:
        """Addresses at the HTTPS port where a block has no certificate: it lives from the default's, as nginx has it.

        With a refusing default the configuration test would fail for everybody on that socket.
        """
        if self.refused_above or next(inherited(self.configuration, "ssl_certificate"), None) is not None:
            return set()
        return {
            socket.listen.address
            for block in self.blocks
            if not block.panels and not self.paired.get(block.number, bool(block.all("ssl_certificate")))
            for socket in block.admins.sockets
            if socket.listen.port == self.layout.https_port
            and not any("on" in one.statement.args for one in block.all("ssl_reject_handshake"))
        }

    def include_http(self) -> None:
        http = self.configuration.http
        if http is None:
            raise ConfigurationProblem("there is no http block", str(self.configuration.conf))
        if any(stem_of(Placed(one, http.real_path, http.file)) == "" for one in http.statement.block):
            return
        if not self.drafts.sound(http.real_path):
            raise ConfigurationProblem("the file is written so that its end of words is in doubt", http.file)
        self.drafts.at(http).include_last(http.statement, render.mask(self.layout, ""))

    def edits(self, changed: Collection[str], refused: Mapping[str, Refusal]) -> Edits:
        text = self.http_conf(changed)
        if text:
            self.include_http()
        files, before = self.drafts.results()
        return Edits(
            files=files,
            snippets=self.snippets,
            http_conf=text if text != self.http_text() else None,
            refused=dict(refused),
            before=before,
            left_out=self.left_out,
        )


def _matches(regex: str, name: str) -> bool:
    try:
        return re.search(regex[1:].replace("(?<", "(?P<"), name, re.IGNORECASE) is not None
    except re.error:
        # An expression that Python does not know might match: nobody's row may change.
        return True
