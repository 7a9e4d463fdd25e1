"""Debian's nginx with the sites that `docs/proxies.md` shows, without any right and on ports of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.support.app import Process, running_process
from tests.support.certificates import Certificate
from tests.support.helpers import PROJECT_ROOT, eventually

UNPACKED = PROJECT_ROOT / ".venv" / "nginx" / "usr" / "sbin"
SNIPPET = "/etc/nginx/snippets/livemarkets.conf"
ROOT_SITE = "/etc/nginx/sites-enabled/livemarkets"
LOCATION = "in the server of the site"
INSTANCES = "/etc/nginx/sites-enabled/livemarkets, with the map from above"
HOST_SNIPPET = "snippets/livemarkets_host.conf"
"""The same with `$host`, which has no port."""

_TLS = "listen 443 ssl;"
_APP = "127.0.0.1:8080"
_SECOND_APP = "127.0.0.1:8081"
# `master_process off` keeps nginx in one process: its id ends it, and a round robin has one order.
_MAIN = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{sites}
}}
"""


def shown(language: str, first_line: str) -> str:
    """A block of `docs/proxies.md`, by its language and its first line."""
    text = (PROJECT_ROOT / "docs" / "proxies.md").read_text(encoding="utf-8")
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    [block] = [block for block in blocks if block.partition("\n")[0].lstrip("# ") == first_line]
    return str(block)


def replaced(text: str, old: str, new: str) -> str:
    """The text with `new` in place of `old`, which has to be there."""
    assert old in text, f"docs/proxies.md does not say {old!r}"
    return text.replace(old, new)


def connection_map() -> str:
    """The map that every site needs once."""
    return shown("nginx", ROOT_SITE).partition("server {")[0]


def root_server() -> str:
    """The server of a host of its own."""
    return "server {" + shown("nginx", ROOT_SITE).partition("server {")[2]


def path_server() -> str:
    """The same with the app under a path: the location stands in place of the one for everything."""
    before, _, rest = root_server().partition("    location / {")
    return before + shown("nginx", LOCATION) + rest.partition("    }\n")[2]


def instances_server(*, is_sticky: bool = True) -> str:
    """The server in front of two instances. Each has names of its own, so that several fit into one nginx."""
    text = shown("nginx", INSTANCES)
    if is_sticky:
        return text
    for name in ("livemarkets_pages", "livemarkets_readers"):
        text = replaced(text, name, f"{name}_loose")
    return replaced(text, "    ip_hash;\n", "")


def listening(server: str, port: int, apps: Sequence[int], certificate: Certificate | None) -> str:
    """A server of the document on a port of the loopback interface, in front of these apps."""
    for shown_app, app in zip((_APP, _SECOND_APP), apps, strict=False):
        server = replaced(server, shown_app, f"127.0.0.1:{app}")
    if certificate is None:
        server = re.sub(r" *ssl_certificate.*\n", "", server)
        return replaced(server, _TLS, f"listen 127.0.0.1:{port};")
    server = re.sub(r"(ssl_certificate +)\S+;", rf"\g<1>{certificate.file};", server)
    server = re.sub(r"(ssl_certificate_key +)\S+;", rf"\g<1>{certificate.key};", server)
    return replaced(server, _TLS, f"listen 127.0.0.1:{port} ssl;")


@contextlib.asynccontextmanager
async def running_nginx(folder: Path, sites: str, *ports: int) -> AsyncIterator[Process]:
    """Run nginx with sites that listen on these ports; without nginx, the test is skipped."""
    places = (os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", str(UNPACKED))
    program = shutil.which("nginx", path=os.pathsep.join(places))
    if program is None:
        pytest.skip("no nginx found: `make test` unpacks Debian's where that is possible")
    snippet = shown("nginx", SNIPPET)
    (folder / "snippets").mkdir()
    (folder / "snippets" / "livemarkets.conf").write_text(snippet)
    (folder / HOST_SNIPPET).write_text(replaced(snippet, "Host $http_host;", "Host $host;"))
    (folder / "nginx.conf").write_text(_MAIN.format(sites=connection_map() + sites))
    arguments = ("-e", "stderr", "-p", folder, "-c", folder / "nginx.conf")
    async with running_process(*arguments, program=program) as process:
        for port in ports:
            await eventually(lambda port=port: is_open(process, port), 10)  # type: ignore[misc]
        yield process


async def is_open(process: Process, port: int) -> bool:
    assert process.process.returncode is None, process.output
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
