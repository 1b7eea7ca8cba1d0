"""A QR code as an SVG that stands in the page: nothing to fetch, and no data: address."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from qrcode.constants import ERROR_CORRECT_M
from qrcode.main import QRCode

# Modules of white around it that scanners need (ISO/IEC 18004 §9.1)
QUIET = 4


def svg(text: str, label: str) -> SafeString:
    """The code for `text`, named `label`; dark on white in every theme, as wide as the stylesheet says."""
    code: Any = QRCode(border=QUIET, error_correction=ERROR_CORRECT_M)
    code.add_data(text)
    rows: Sequence[Sequence[bool]] = code.get_matrix()
    return format_html(
        '<svg class="qr" viewBox="0 0 {0} {0}" role="img" aria-label="{1}"><path d="{2}"/></svg>',
        len(rows),
        label,
        "".join(_runs(rows)),
    )


def _runs(rows: Sequence[Sequence[bool]]) -> Iterator[str]:
    """One rectangle for each run of dark modules."""
    for y, row in enumerate(rows):
        start = None
        for x, dark in enumerate([*row, False]):
            if dark and start is None:
                start = x
            elif not dark and start is not None:
                yield f"M{start} {y}h{x - start}v1h-{x - start}z"
                start = None
