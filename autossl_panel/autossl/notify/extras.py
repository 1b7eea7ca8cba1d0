"""What need not be installed: whether it is, without loading it."""

import importlib.util

APPRISE_MISSING = (
    "The package “apprise” is not installed. Install it beside the panel: pip install 'autossl-panel[apprise]'."
)


def has_apprise() -> bool:
    """Whether the services of apprise can be used."""
    return importlib.util.find_spec("apprise") is not None
