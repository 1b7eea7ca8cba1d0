"""The panel itself, started by `serve` and set going by a click; everything it does from there counts as its own."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import requests

from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.processes import SandboxProblem
from bench import measure, sites
from bench.results import Pipeline
from tests.support.server import PASSWORD, PanelOnBox

NAME = "AutoSSL Panel"
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def run() -> Pipeline:
    """Secure all sites with a panel that has never seen them before the click."""
    with Box(users=sites.USERS, per_user=sites.EACH) as box, PanelOnBox(box) as panel:
        panel.set_up()
        panel.person("bench", "root")
        panel.serve()
        database = panel.folder / "state" / "autossl.sqlite3"
        _wait_for_workers(panel, database)
        return _measure(box, panel, database)


def _wait_for_workers(panel: PanelOnBox, database: Path) -> None:
    deadline = time.monotonic() + 60
    while not _row(database, "select 1 from autossl_beat"):
        if time.monotonic() > deadline:
            raise SandboxProblem(f"the workers give no sign\n{panel.panel.log_tail()}")
        time.sleep(0.1)


def _measure(box: Box, panel: PanelOnBox, database: Path) -> Pipeline:
    serve, web = panel.panel.serve_pid, box.nginx.process
    assert serve is not None
    assert web is not None
    session = _sign_in(panel.url)
    before = _used(serve), _used(web.pid), box.ca_requests()
    clicked = time.time(), time.monotonic()
    _click(session, panel.url)
    served = clicked[0] + sites.wait_served(box, NAME, panel.panel.log_tail) - clicked[1]
    pids = measure.tree(serve)
    cpu, web_cpu, asked = _used(serve) - before[0], _used(web.pid) - before[1], box.ca_requests() - before[2]
    memory = {role: measure.peak_mb(pid) for role, pid in roles(pids).items()}
    sites.check_issued(box, sites.names(), NAME)
    moments = _moments(database)
    claimed = moments.pop("first claim")
    ended = _wait_for_end(database, panel)
    return Pipeline(
        client=NAME,
        certificates=sites.SITES,
        seconds=served - claimed,
        requests=asked,
        cpu=cpu,
        web_cpu=web_cpu,
        stages={
            "click to first claim": claimed - clicked[0],
            **{name: moment - claimed for name, moment in moments.items()},
            "all served": served - claimed,
            "run ended": ended - claimed,
        },
        memory=memory,
        # One to let the sites answer challenges, and one for each batch of certificates
        reloads=1 + int(_row(database, "select count(distinct activated_at) from autossl_order")[0] or 0),
    )


def _used(root: int) -> float:
    return measure.cpu_seconds(measure.tree(root))


def _sign_in(url: str) -> requests.Session:
    session = requests.Session()
    _post(session, f"{url}/sign-in/", f"{url}/sign-in/", username="bench", password=PASSWORD)
    return session


def _click(session: requests.Session, url: str) -> None:
    """The blue button."""
    answer = _post(session, f"{url}/users/", f"{url}/runs/")
    if "/runs/" not in answer.url:
        raise SandboxProblem(f"the click led to {answer.url}")


def _post(session: requests.Session, page: str, target: str, **fields: str) -> requests.Response:
    token = _TOKEN.search(session.get(page, timeout=30).text)
    if token is None:
        raise SandboxProblem(f"{page} has no form")
    data = {"csrfmiddlewaretoken": token[1], **fields}
    answer = session.post(target, data=data, headers={"Referer": page}, timeout=30)
    answer.raise_for_status()
    return answer


def _row(database: Path, query: str) -> Sequence[str | None]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        return connection.execute(query).fetchone() or ()


def _moments(database: Path) -> dict[str, float]:
    """When what was reached, in seconds of the epoch, by the panel's own rows."""
    query = "select min(j.started_at), max(o.staged_at) from autossl_job j join autossl_order o on o.id = j.order_id"
    first, staged = _row(database, query)
    return {"first claim": _epoch(first), "all issued": _epoch(staged)}


def _wait_for_end(database: Path, panel: PanelOnBox) -> float:
    deadline = time.monotonic() + 60
    while not (found := _row(database, "select ended_at from autossl_run where ended_at is not null")):
        if time.monotonic() > deadline:
            raise SandboxProblem(f"the run does not end\n{panel.panel.log_tail()}")
        time.sleep(0.1)
    return _epoch(found[0])


def _epoch(text: str | None) -> float:
    if text is None:
        raise SandboxProblem("the panel's rows lack a moment")
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def roles(pids: Sequence[int]) -> Mapping[str, int]:
    """Which process of `serve` is which."""
    found = {"serve": pids[0]}
    for pid in pids[1:]:
        words, above = " ".join(measure.command(pid)), measure.parent(pid)
        if "autossl_panel.helper" in words:
            found.setdefault("helper", pid)
        elif "gunicorn" in words:
            found["web" if above == found.get("web, main") else "web, main"] = pid
        elif "autossl.cluster" in words:
            found[_in_cluster(above, found)] = pid
    return found


def _in_cluster(above: int, found: Mapping[str, int]) -> str:
    """django-q2's processes, in the order that it makes them."""
    if above == found["serve"]:
        return "cluster, main"
    if above == found["cluster, main"]:
        return "cluster, sentinel"
    return next(name for name in ("worker 1", "worker 2", "monitor", "pusher", "another") if name not in found)
