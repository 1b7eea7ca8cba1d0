"""Starts `issuing` beside a box: what an ACME client alone takes for the same names."""

from __future__ import annotations

import json
import subprocess
import sys

from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.processes import SandboxProblem
from bench import sites
from bench.results import Pipeline

KINDS = {"shipped": "acme as shipped", "own": "our ACME layer alone"}

_SERVER = """\
server {{
    listen {address}:{port};
    server_name *.crowd.example;
    location /.well-known/acme-challenge/ {{ alias {folder}/; default_type text/plain; }}
}}
"""


def run(kind: str) -> Pipeline:
    """Issue all certificates with the client of this kind, and nothing more."""
    with Box() as box:
        sites.point_here(box)
        folder = box.folder / "challenges"
        folder.mkdir()
        box.nginx.put_site("crowd", _SERVER.format(address=box.address, port=box.http_port, folder=folder))
        box.nginx.reload()
        words = [kind, str(sites.IN_FLIGHT), box.directory_url, str(box.ca_bundle), str(folder)]
        before = box.ca_requests()
        done = subprocess.run(
            [sys.executable, "-m", "bench.issuing", *words],
            input=json.dumps(sites.names()),
            capture_output=True,
            text=True,
            timeout=sites.PATIENCE,
            check=False,
        )
        if done.returncode != 0:
            raise SandboxProblem(f"{KINDS[kind]}: status {done.returncode}\n{done.stderr[-2000:]}")
        said = json.loads(done.stdout)
        sites.check_issued(box, sites.names(), KINDS[kind])
        return Pipeline(
            client=KINDS[kind],
            certificates=sites.SITES,
            seconds=said["seconds"],
            requests=box.ca_requests() - before,
            cpu=said["cpu"],
            stages={"all issued": said["seconds"]},
            memory={"process": said["mb"]},
            sent=said["sent"],
        )
