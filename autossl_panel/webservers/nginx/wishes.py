"""From what sites shall have to bytes: attach, TLS, detach. The routing map judges every edit before it leaves."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from autossl_panel.webservers.model import Edits, Layout, Moved, Refusal, SiteWish
from autossl_panel.webservers.nginx import render
from autossl_panel.webservers.nginx.blocks import Block, blocks, stem_of
from autossl_panel.webservers.nginx.edit import take_out_all
from autossl_panel.webservers.nginx.read import Configuration, read
from autossl_panel.webservers.nginx.routing import compare
from autossl_panel.webservers.nginx.work import Refused, Work


def desired(configuration: Configuration, wish: Mapping[str, SiteWish], layout: Layout) -> Edits:
    """What to write so that each site of `wish` has it; other sites stay as they are.

    Sites that cannot have it are in `refused`, and no byte is changed for them. Raises ConfigurationProblem when a
    file changed since it was read. Rows of the routing map of sites that are not in `wish` stay as they are.
    """
    refused: dict[str, Refusal] = {}
    while True:
        edits, more = _attempt(configuration, {k: w for k, w in wish.items() if k not in refused}, layout, refused)
        if not more:
            return edits
        refused.update(more)


def _attempt(
    configuration: Configuration, wish: Mapping[str, SiteWish], layout: Layout, refused: Mapping[str, Refusal]
) -> tuple[Edits, dict[str, Refusal]]:
    work = Work(configuration, layout)
    more: dict[str, Refusal] = {}
    # A block that two sites of the batch share belongs to the one whose main it is, whichever comes first.
    work.claim(key for key, one in wish.items() if one.challenge or one.tls is not None)
    for key, one in wish.items():
        if (whole := work.sites.get(key)) is None:
            more[key] = Refusal("gone", "The configuration has no such site any more.")
            continue
        try:
            work.site(whole, one)
        except Refused as problem:
            more[key] = problem.refusal
    if more:
        # What a refused site had already put into drafts must not stay: the next attempt begins without it.
        return Edits(), more
    edits = work.edits(wish.keys(), refused)
    return edits, _judge(work, wish, edits)


def preview(configuration: Configuration, edits: Edits, layout: Layout) -> Configuration:
    """The configuration as it would be with these edits."""
    overlay: dict[str, bytes | None] = dict(edits.files)
    folder = layout.helper_dir.resolve()
    for stem, text in edits.snippets.items():
        overlay[str(folder / "snippets" / f"{stem}.conf")] = None if text is None else _bytes(text)
    if edits.http_conf is not None:
        overlay[str(folder / "http.conf")] = _bytes(edits.http_conf)
    return read(configuration.conf, prefix=configuration.prefix, previous=configuration, overlay=overlay)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _judge(work: Work, wish: Mapping[str, SiteWish], edits: Edits) -> dict[str, Refusal]:
    if not edits.files and edits.http_conf is None and not edits.snippets:
        return {}
    after = blocks(preview(work.configuration, edits, work.layout))
    return _bared(work, wish, after) or _blame(work, wish, compare(work.blocks, after), after)


def _bared(work: Work, wish: Mapping[str, SiteWish], after: list[Block]) -> dict[str, Refusal]:
    """No block with a certificate ends without one, whatever went before: the last look at an edit."""
    served = {block.id for block in after if block.all("ssl_certificate") or not block.tls}
    found: dict[str, Refusal] = {}
    for block in work.blocks:
        if block.tls and block.id not in served and block.admins.all("ssl_certificate"):
            text = "The server block would be left without a certificate."
            refusal = Refusal("no_certificate", text, block.placed.file, block.statement.line)
            found.update({k: refusal for k in wish if (w := work.sites.get(k)) and block in w.parts})
    return found


def _blame(work: Work, wish: Mapping[str, SiteWish], rows: tuple[Moved, ...], after: list[Block]) -> dict[str, Refusal]:
    found: dict[str, Refusal] = {}
    owner = {p.id: k for k in wish if (whole := work.sites.get(k)) for p in whole.parts if p.number in work.own(whole)}
    by_id = {block.id: block for block in after}
    for row in rows:
        taker = by_id.get(row.after or "")
        key = owner.get(row.after or "") or next(
            (k for k in wish if taker is not None and set(taker.names) & set(work.sites[k].names)), None
        )
        if key is not None and (owner.get(row.before) == key or wish[key].tls is None):
            continue
        text = f"Requests for {row.name} on {render.endpoint(row.address, row.port)} would go to another server block."
        refusal = Refusal("routing", text)
        found.update({key: refusal} if key is not None else {k: refusal for k in wish if wish[k].tls is not None})
    return found


def without(configuration: Configuration, keys: Collection[str] | None, layout: Layout) -> Edits:
    """What to write so that nothing of ours is left in these sites, or anywhere (None): byte for byte as before.

    What an admin changed meanwhile stays. Raises ConfigurationProblem when a file changed since it was read.
    """
    work = Work(configuration, layout)
    if keys is None:
        replaced = [block.placed for block in work.blocks if block.includes and block.admins.all("ssl_certificate")]
        take_out_all(work.drafts, configuration, replaced)
        stems = {stem_of(one) for block in work.blocks for one in block.includes}
        files, before = work.drafts.results()
        text = "" if work.http_text() else None
        return Edits(files, {stem: None for stem in stems if stem}, text, before=before)
    refused = {key: Refusal("gone", "The configuration has no such site.") for key in keys if key not in work.sites}
    for key in keys:
        if key in work.sites:
            work.detach(work.sites[key])
    return replace(work.edits(keys, refused), refused=refused)
