"""What an undo needs, small enough for a session: ids as ranges, grouped by what a setting was and is."""

from collections.abc import Iterable

from autossl_panel.hosting.users import Change

Packed = list[list[str]]


def pack(changes: Iterable[Change]) -> Packed:
    """[[before, after, "1-40,55"], …]."""
    groups: dict[tuple[str, str], list[int]] = {}
    for change in changes:
        groups.setdefault((change.before, change.after), []).append(change.user_id)
    return [[before, after, _ranges(sorted(ids))] for (before, after), ids in groups.items()]


def unpack(packed: Packed) -> list[Change]:
    """The changes again."""
    return [Change(pk, before, after) for before, after, ranges in packed for pk in _ids(ranges)]


def _ranges(ids: list[int]) -> str:
    pieces: list[list[int]] = []
    for pk in ids:
        if pieces and pieces[-1][1] == pk - 1:
            pieces[-1][1] = pk
        else:
            pieces.append([pk, pk])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in pieces)


def _ids(ranges: str) -> Iterable[int]:
    for piece in ranges.split(","):
        first, _dash, last = piece.partition("-")
        yield from range(int(first), int(last or first) + 1)


def pack_ids(ids: Iterable[int]) -> str:
    """Ids alone: “1-40,55”."""
    return _ranges(sorted(ids))


def unpack_ids(ranges: str) -> list[int]:
    """The ids again."""
    return list(_ids(ranges)) if ranges else []
