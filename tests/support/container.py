"""What a container engine does with the Dockerfile, done with the means of Linux: no engine is needed.

The steps build a tree. Its program then runs in a mount namespace of its own, at its place in the image, in
file systems that nobody can write to, without any right and as the user that the Dockerfile names. Only the
base image and the network are those of this machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.app import Process, running_process
from tests.support.documents import text_of
from tests.support.helpers import PROJECT_ROOT

DOCKERFILE = "deploy/container/Dockerfile"
INSTALLING = (
    "python -m venv --without-pip .venv",
    "python -m pip --python .venv install --no-cache-dir --no-compile --require-hashes "
    "-r requirements-bus.lock",
)
"""The steps that need an index of packages."""

_BECOME = '--reuid "${user%:*}" --regid "${user#*:}" --clear-groups --no-new-privs --bounding-set -all'
_ENTER = f"""
set -e
tree=$1 place=$2 user=$3
shift 3
can() {{ setpriv {_BECOME} "$@"; }}
mount -t tmpfs -o mode=755 tmpfs /opt
mkdir -p "$place" /opt/prefix /opt/base
mount --bind "$tree" "$place"
mount --bind "$PYTHON_PREFIX" /opt/prefix
mount --bind "$PYTHON_BASE" /opt/base
# This machine's Python may be in somebody's home: then an empty folder covers that, with Python alone in it.
for python in "$PYTHON_PREFIX" "$PYTHON_BASE"; do
  can test -x "$python/bin" || mount -t tmpfs -o mode=755 tmpfs "/$(echo "$python" | cut -d/ -f2)"
done
[ -d "$PYTHON_PREFIX/bin" ] || {{ mkdir -p "$PYTHON_PREFIX"; mount --bind /opt/prefix "$PYTHON_PREFIX"; }}
[ -d "$PYTHON_BASE/bin" ] || {{ mkdir -p "$PYTHON_BASE"; mount --bind /opt/base "$PYTHON_BASE"; }}
cut -d" " -f2 /proc/self/mounts | while read -r mounted; do
  case $mounted in /proc*|/sys*|/dev*) ;; *) mount -o remount,bind,ro "$mounted" 2>/dev/null || true ;; esac
done
cd "$place"
if touch "$place/written" /tmp/written 2>/dev/null; then echo "files can be written"; exit 77; fi
unset PYTHON_PREFIX PYTHON_BASE HOME
exec setpriv {_BECOME} "$@"
"""


_ON_ANOTHER_MACHINE = """
set -e
mount -t tmpfs -o mode=755 tmpfs /opt
mkdir -p /opt/livemarkets /opt/above /opt/work
mount --bind "$1" /opt/livemarkets
mount -t overlay -o lowerdir=/etc,upperdir=/opt/above,workdir=/opt/work overlay /etc
exec sh -c "$2"
"""


@contextlib.asynccontextmanager
async def without_rights_to_the_rest(
    project: Path, script: str, variables: dict[str, str]
) -> AsyncIterator[Process]:
    """Run a shell script as root of a machine that has the project in `/opt/livemarkets`.

    What it changes in `/etc` and `/opt` is gone afterwards. Skips where that cannot be arranged.
    """
    await _need_namespaces()
    trial = ("--mount", "sh", "-c", _ON_ANOTHER_MACHINE, "sh", project, "touch /etc/written")
    async with running_process(*trial, program="unshare") as process:
        if await process.ended():
            pytest.skip(f"no /etc can be laid over this one: {process.output}")
    arguments = ("--mount", "sh", "-c", _ON_ANOTHER_MACHINE, "sh", project, script)
    async with running_process(*arguments, program="unshare", environment=variables) as process:
        yield process


async def _need_namespaces() -> None:
    """Skip where this process may not make a mount namespace."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root can change what a process sees of the file systems, and become nobody")
    if missing := [name for name in ("unshare", "setpriv") if shutil.which(name) is None]:
        pytest.skip(f"no {missing[0]} found")
    async with running_process("--mount", "true", program="unshare") as trial:
        if await trial.ended():
            pytest.skip(f"no mount namespace can be made here: {trial.output}")


class Image:
    """The last stage of the Dockerfile.

    Args:
        tree: an empty folder for the files.

    """

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.variables: dict[str, str] = {}
        self.place = self.user = ""
        self.command: list[str] = []
        self.healthcheck: list[str] = []

    def build(self, *, installs: bool) -> None:
        """Take the steps; those that install packages only on demand, else this environment is linked."""
        self.tree.chmod(0o755)  # an engine makes it so
        for word, rest in steps():
            if word == "FROM":
                self.variables, self.user = {}, ""
            elif word == "WORKDIR":
                self.place = rest
            elif word == "COPY" and not rest.startswith("--from=build /opt/livemarkets "):
                self._copy(rest.split())
            elif word == "RUN" and (installs or rest not in INSTALLING):
                self._run(rest)
            elif word == "ENV":
                self.variables |= dict(each.split("=", 1) for each in rest.split())
            elif word == "USER":
                self.user = rest
            elif word == "CMD":
                self.command = json.loads(rest)
            elif word == "HEALTHCHECK":
                self.healthcheck = json.loads(rest.partition(" CMD ")[2])
            if word == "RUN" and not installs and rest == INSTALLING[0]:
                (self.tree / ".venv").symlink_to(sys.prefix)

    @contextlib.asynccontextmanager
    async def running(self, command: Sequence[str], variables: Mapping[str, str]) -> AsyncIterator[Process]:
        """Run a command in a container of this image. Skips where this process may not make one."""
        await _need_namespaces()
        environment = {
            **self.variables,
            **variables,
            "PYTHON_PREFIX": sys.prefix,
            "PYTHON_BASE": sys.base_prefix,
        }
        enter = ("--mount", "sh", "-c", _ENTER, "sh", str(self.tree), self.place, self.user)
        async with running_process(*enter, *command, program="unshare", environment=environment) as process:
            yield process

    def _copy(self, names: Sequence[str]) -> None:
        """Copy as an engine does: the modes stay. These are of a checkout that nobody else may read."""
        *sources, target = names
        for source in map(PROJECT_ROOT.joinpath, sources):
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                copy = Path(shutil.copytree(source, self.tree / target, ignore=ignored))
            else:
                copy = Path(shutil.copy(source, self.tree / target))
            for path in (copy, *copy.rglob("*")):
                path.chmod(0o700 if path.is_dir() else 0o600)

    def _run(self, command: str) -> None:
        python = Path(sys.base_prefix) / "bin"
        environment = os.environ | {"PATH": f"{python}{os.pathsep}{os.environ['PATH']}"}
        outcome = subprocess.run(
            ["sh", "-c", command],
            cwd=self.tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert outcome.returncode == 0, f"{command}\n{outcome.stdout}{outcome.stderr}"


def steps() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile in order, each with its arguments."""
    lines = [line for line in text_of(DOCKERFILE).splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2]) for line in lines]


def copied() -> set[str]:
    """What the Dockerfile copies from the project."""
    sources = [rest.split()[:-1] for word, rest in steps() if word == "COPY" and "--from=" not in rest]
    return {source for each in sources for source in each}


def let_in() -> set[str]:
    """What reaches the engine at all."""
    return set(re.findall(r"^!(.+)$", text_of(f"{DOCKERFILE}.dockerignore"), re.MULTILINE))
