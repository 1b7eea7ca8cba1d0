"""nginx: reading its configuration, finding sites in it, computing edits. Runs nothing, writes nothing."""

from autossl_panel.webservers.model import (
    ConfigurationProblem,
    Edits,
    FileState,
    Inventory,
    Layout,
    Listen,
    Moved,
    Refusal,
    Remark,
    Site,
    SiteWish,
    Skipped,
    TlsWish,
    Told,
    Watched,
)
from autossl_panel.webservers.nginx.diagnosis import has_auth_request, parse_test_output, place_of
from autossl_panel.webservers.nginx.read import Configuration, read, unchanged
from autossl_panel.webservers.nginx.routing import answers, moved, routing
from autossl_panel.webservers.nginx.sites import key_of, sites
from autossl_panel.webservers.nginx.wishes import desired, preview, without

__all__ = [
    "Configuration",
    "ConfigurationProblem",
    "Edits",
    "FileState",
    "Inventory",
    "Layout",
    "Listen",
    "Moved",
    "Refusal",
    "Remark",
    "Site",
    "SiteWish",
    "Skipped",
    "TlsWish",
    "Told",
    "Watched",
    "answers",
    "desired",
    "has_auth_request",
    "key_of",
    "moved",
    "parse_test_output",
    "place_of",
    "preview",
    "read",
    "routing",
    "sites",
    "unchanged",
    "without",
]
