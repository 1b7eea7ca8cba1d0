"""mod_md in an Apache of its own: the other server-side client, set as favourably as it can be.

Its clock starts when Apache is up. It may have account, directory and fallback certificates ready by then, P-256 keys
as ours, no OCSP stapling, retries at once; and it gets one graceful restart, in the moment its last certificate is
staged. In earnest somebody has to find that moment.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.processes import Process, Processes, SandboxProblem, find_program
from bench import measure, sites
from bench.results import Pipeline

MODULES = Path("/usr/lib/apache2/modules")
NAMES = ("mpm_event", "authz_core", "socache_shmcb", "ssl", "md")
NAME = "mod_md"

_MAIN = """\
ServerRoot {folder}
PidFile {folder}/pid
ErrorLog {folder}/error.log
LogLevel warn
{user}DefaultRuntimeDir {folder}/run
Mutex posixsem
Listen {box.address}:{box.http_port}
Listen {box.address}:{box.https_port}
ServerName {box.address}
ServerAdmin admin@crowd.example
{modules}
StartServers 1
ServerLimit 2
ThreadsPerChild 64
MaxRequestWorkers 128
SSLSessionCache shmcb:{folder}/run/cache(512000)

MDStoreDir {folder}/md
MDCertificateAuthority {box.directory_url}
MDCACertificateFile {folder}/ca.pem
MDCertificateAgreement accepted
MDCAChallenges http-01
MDPortMap http:{box.http_port} https:{box.https_port}
MDPrivateKeys secp256r1
MDStapling off
MDRetryDelay 1s
MDRenewMode always

<VirtualHost {box.address}:{box.http_port}>
    ServerName {box.address}
</VirtualHost>
"""
_SITE = """
MDomain {names}
<VirtualHost {box.address}:{box.http_port}>
    ServerName {name}
    ServerAlias {others}
    DocumentRoot {docroot}
</VirtualHost>
<VirtualHost {box.address}:{box.https_port}>
    ServerName {name}
    ServerAlias {others}
    DocumentRoot {docroot}
    SSLEngine on
</VirtualHost>
"""


def version() -> str:
    """Apache's own."""
    said = subprocess.run([find_program("apache2", "apache2"), "-v"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"Apache/(\S+)", said)
    return found[1] if found else "?"


def run() -> Pipeline:
    """Secure all sites with mod_md."""
    with Box(start_nginx=False) as box:
        sites.point_here(box)
        folder = Path(tempfile.mkdtemp(prefix="as"))
        processes = Processes()
        try:
            # Its workers run as another user and serve the challenges from below this folder.
            folder.chmod(0o755)
            conf = _write(box, folder)
            binary = find_program("apache2", "apache2")
            process = processes.start(
                "apache2", [binary, "-f", str(conf), "-k", "start", "-DFOREGROUND"], log=folder / "out"
            )
            process.wait_listening(box.address, box.http_port, 60)
            return _measure(box, folder, process)
        finally:
            processes.stop()
            shutil.rmtree(folder, ignore_errors=True)


def _write(box: Box, folder: Path) -> Path:
    for name in ("run", "docroot"):
        (folder / name).mkdir()
    # In the box's own folder its workers could not read it.
    shutil.copy(box.ca_bundle, folder / "ca.pem")
    (folder / "ca.pem").chmod(0o644)
    modules = "".join(
        f"LoadModule {name}_module {MODULES}/mod_{name}.so\n" for name in NAMES if (MODULES / f"mod_{name}.so").exists()
    )
    if "mod_md.so" not in modules:
        raise SandboxProblem("Apache has no mod_md: on Debian, apt-get install apache2")
    user = "User www-data\nGroup www-data\n" if os.geteuid() == 0 else ""
    text = _MAIN.format(folder=folder, box=box, modules=modules, user=user)
    for names in sites.names():
        text += _SITE.format(
            box=box, names=" ".join(names), name=names[0], others=" ".join(names[1:]), docroot=folder / "docroot"
        )
    conf = folder / "apache.conf"
    conf.write_text(text, encoding="utf-8")
    return conf


def _measure(box: Box, folder: Path, process: Process) -> Pipeline:
    def tell() -> str:
        log = folder / "error.log"
        return "\n".join(log.read_text("utf-8", "replace").splitlines()[-3:]) if log.exists() else ""

    start, cpu, requests = time.monotonic(), measure.cpu_seconds(measure.tree(process.pid)), box.ca_requests()
    waiting, deadline = {f"{folder}/md/staging/{site[0]}/job.json" for site in sites.names()}, start + sites.PATIENCE
    while waiting := {job for job in waiting if not _staged(job)}:
        if time.monotonic() > deadline or not process.alive:
            raise SandboxProblem(f"mod_md: {len(waiting)} sites have no certificate\n{tell()}")
        time.sleep(0.1)
    issued = time.monotonic()
    os.kill(process.pid, signal.SIGUSR1)
    served = sites.wait_served(box, NAME, tell)
    pids = measure.tree(process.pid)
    used = measure.cpu_seconds(pids) - cpu
    sites.check_issued(box, sites.names(), NAME)
    return Pipeline(
        client=NAME,
        certificates=sites.SITES,
        seconds=served - start,
        requests=box.ca_requests() - requests,
        cpu=used,
        stages={"all issued": issued - start, "all served": served - start},
        memory={"Apache, main": measure.peak_mb(pids[0]), "Apache, worker": max(map(measure.peak_mb, pids[1:]))},
        reloads=1,
    )


def _staged(job: str) -> bool:
    """Whether a site has its new certificate in staging, by mod_md's own account."""
    try:
        with open(job, encoding="utf-8") as stream:
            return bool(json.load(stream).get("finished"))
    except (OSError, ValueError):
        return False  # not begun, or being written
