"""Other people's programs: where they are, and how they get there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.programs import ROOT, BenchmarkError

__all__ = ["install_peers", "nginx_with_nchan", "node_with", "peer_python"]

_PEERS = ROOT / ".venv-peers"
_WANTED = ROOT / "benchmarks" / "peers.txt"
_NGINX = _PEERS / "nginx"
_NGINX_PACKAGES = ("nginx", "libnginx-mod-nchan")
_NODE_MODULES = (ROOT / ".venv" / "node" / "node_modules", _PEERS / "node" / "node_modules")
_NODE_PACKAGES = ("ws@8.23.0", "tardis-dev@13.35.3")
_HINT = "python -m benchmarks --install-peers"


def install_peers() -> list[str]:
    """Put every peer that can be had into `.venv-peers`; return a line about each that cannot."""
    problems: list[str] = []
    python = _PEERS / "bin" / "python"
    if not python.exists():
        _run([sys.executable, "-m", "venv", str(_PEERS)], problems, "the environment of the peers")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for line in _WANTED.read_text().splitlines():
        if line and not line.startswith("#"):
            _run([*pip, line], problems, line)
    if shutil.which("npm"):
        npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(_PEERS / "node")]
        _run([*npm, *_NODE_PACKAGES], problems, " and ".join(_NODE_PACKAGES))
    else:
        problems.append("ws and tardis-dev: there is no npm here")
    _unpack_nginx(problems)
    return problems


def peer_python(module: str) -> Path:
    """Return the interpreter that can import a peer.

    Raises:
        BenchmarkError: it is not installed.

    """
    python = _PEERS / "bin" / "python"
    if python.exists():
        done = subprocess.run([python, "-c", f"import {module}"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return python
        raise BenchmarkError(f"cannot be imported here ({(done.stderr.strip().splitlines() or ['?'])[-1]})")
    raise BenchmarkError(f"not installed; {_HINT}")


def node_with(package: str) -> tuple[str, Path]:
    """Return Node.js and the folder that has one of its packages.

    Raises:
        BenchmarkError: one of the two is missing.

    """
    node = shutil.which("node")
    if node is None:
        raise BenchmarkError("there is no Node.js here")
    for modules in _NODE_MODULES:
        if (modules / package).is_dir():
            return node, modules
    raise BenchmarkError(f"its package `{package}` is not installed; {_HINT}")


def nginx_with_nchan() -> tuple[Path, Path]:
    """Return nginx and its nchan module.

    Raises:
        BenchmarkError: one of the two is missing.

    """
    for root in (_NGINX, Path("/")):
        program = root / "usr/sbin/nginx"
        module = root / "usr/lib/nginx/modules/ngx_nchan_module.so"
        if program.exists() and module.exists():
            return program, module
    raise BenchmarkError(f"nginx with its nchan module is not installed; {_HINT}")


def _unpack_nginx(problems: list[str]) -> None:
    """Unpack Debian's packages beside the peers, so that nothing is installed or started on the system."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        problems.append("nginx with nchan: not a Debian system")
        return
    _NGINX.mkdir(parents=True, exist_ok=True)
    if not _run(["apt-get", "download", "-qq", *_NGINX_PACKAGES], problems, "nginx with nchan", _NGINX):
        return
    for archive in sorted(_NGINX.glob("*.deb")):
        _run(["dpkg-deb", "--extract", str(archive), str(_NGINX)], problems, archive.name)
    # With nchan, nginx insists on the folder it was compiled with, whatever its configuration says.
    _run(["mkdir", "-p", "/var/lib/nginx"], problems, "nginx with nchan")


def _run(command: Sequence[str], problems: list[str], name: str, folder: Path = ROOT) -> bool:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        problems.append(f"{name}: {last}")
    return done.returncode == 0
