"""Debian's nginx with the sites of `deploy/nginx/`, without any right and on ports of its own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.app import running_process
from tests.support.certificates import Certificate
from tests.support.helpers import PROJECT_ROOT

UNPACKED = PROJECT_ROOT / ".venv" / "nginx" / "usr" / "sbin"
SITES = PROJECT_ROOT / "deploy" / "nginx" / "sites"
SNIPPET = PROJECT_ROOT / "deploy" / "nginx" / "snippets" / "livemarkets.conf"
HOST_SNIPPET = "snippets/livemarkets_host.conf"
"""The same with `$host`, which has no port."""

_TLS = "listen 443 ssl;"
_APP = "127.0.0.1:8080"
_SECOND_APP = "127.0.0.1:8081"
_MAIN = """
daemon off;
{user}
worker_processes 1;  # so that a round robin has one order
pid nginx.pid;
error_log stderr notice;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_header_timeout 10m;  # a browser on a busy machine may use a connection that it opened long ago
    keepalive_timeout 10m;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{sites}
}}
"""


def replaced(text: str, old: str, new: str) -> str:
    """The text with `new` in place of `old`, which has to be there."""
    assert old in text, f"the configuration does not say {old!r}"
    return text.replace(old, new)


def _parts(site: str) -> tuple[str, str]:
    """The map that every site needs once, and the rest of a site of `deploy/nginx/sites/`."""
    text = (SITES / f"{site}.conf").read_text(encoding="utf-8")
    before, end, rest = text.partition("\n}\n")
    return before + end, rest


def connection_map() -> str:
    """The map that every site needs once."""
    return _parts("root")[0]


def root_server() -> str:
    """The server of a host of its own."""
    return _parts("root")[1]


def path_server() -> str:
    """The server of a host that has the app under a path."""
    return _parts("path")[1]


def instances_server(*, is_sticky: bool = True) -> str:
    """The server in front of two instances. Each has names of its own, so that several fit into one nginx."""
    text = _parts("instances")[1]
    if is_sticky:
        return text
    for name in ("livemarkets_pages", "livemarkets_readers"):
        text = replaced(text, name, f"{name}_loose")
    return replaced(text, "    ip_hash;\n", "")


class Front(NamedTuple):
    """A server of `deploy/nginx/`, or one like it, and what stands behind it."""

    server: str
    apps: Sequence[int]
    """The ports of the apps that stand in the place of those in the file."""
    certificate: Certificate | None = None
    """Without one, the server speaks HTTP in clear."""

    def listening(self, port: int) -> str:
        """The server on a port of the loopback interface."""
        server = self.server
        for shown_app, app in zip((_APP, _SECOND_APP), self.apps, strict=False):
            server = replaced(server, shown_app, f"127.0.0.1:{app}")
        if self.certificate is None:
            server = re.sub(r" *ssl_certificate.*\n", "", server)
            return replaced(server, _TLS, f"listen 127.0.0.1:{port};")
        server = re.sub(r"(ssl_certificate +)\S+;", rf"\g<1>{self.certificate.file};", server)
        server = re.sub(r"(ssl_certificate_key +)\S+;", rf"\g<1>{self.certificate.key};", server)
        return replaced(server, _TLS, f"listen 127.0.0.1:{port} ssl;")


@contextlib.asynccontextmanager
async def running_nginx(folder: Path, *fronts: Front) -> AsyncIterator[list[int]]:
    """Run nginx with these servers, and yield their ports; without nginx, the test is skipped."""
    places = (os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", str(UNPACKED))
    program = shutil.which("nginx", path=os.pathsep.join(places))
    if program is None:
        pytest.skip("no nginx found: `make test` unpacks Debian's where that is possible")
    snippet = SNIPPET.read_text(encoding="utf-8")
    (folder / "snippets").mkdir()
    (folder / "snippets" / "livemarkets.conf").write_text(snippet)
    (folder / HOST_SNIPPET).write_text(replaced(snippet, "Host $http_host;", "Host $host;"))
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in fronts]
        ports = [listener.getsockname()[1] for listener in listeners]
        servers = (front.listening(port) for front, port in zip(fronts, ports, strict=True))
        # Started by root, it would give its worker to somebody who may not write into this folder.
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            _MAIN.format(user=user, sites=connection_map() + "\n".join(servers))
        )
        # nginx takes over listeners that its environment names, so nobody else can take a port meanwhile.
        inherited = {"NGINX": "".join(f"{listener.fileno()};" for listener in listeners)}
        arguments = ("-e", "stderr", "-p", folder, "-c", folder / "nginx.conf")
        async with running_process(
            *arguments, program=program, environment=inherited, listeners=listeners
        ) as process:
            for listener in listeners:
                listener.close()
            await process.says("start worker process ")
            yield ports
