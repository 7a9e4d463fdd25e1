"""A host of which one address does not answer."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import uvloop

DEAD, ALIVE = "127.0.0.9", "127.0.0.1"
NAME = "two-addresses.test"


@contextlib.contextmanager
def black_hole(port: int) -> Iterator[None]:
    """An address that answers nothing, not even that it is closed: on Linux, a listener with a full queue."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((DEAD, port))
        listener.listen(0)
        for _ in range(3):
            filler = sockets.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect((DEAD, port))
        yield


def resolving(*addresses: str) -> Callable[..., Coroutine[Any, Any, list[Any]]]:
    """A name lookup that knows one name."""

    async def getaddrinfo(host: str, port: int, **_: object) -> list[Any]:
        assert host == NAME
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return getaddrinfo


def loop_that_knows(*addresses: str, has_uvloop: bool) -> type[asyncio.AbstractEventLoop]:
    """A kind of event loop, in which the name has these addresses."""
    found = resolving(*addresses)

    class Loop(uvloop.Loop):
        async def getaddrinfo(self, host: Any, *args: Any, **kwargs: Any) -> list[Any]:
            if host != NAME:
                return await super().getaddrinfo(host, *args, **kwargs)
            return await found(host, *args, **kwargs)

    class PlainLoop(asyncio.SelectorEventLoop):
        async def getaddrinfo(self, host: Any, *args: Any, **kwargs: Any) -> list[Any]:
            return await found(host, *args, **kwargs)

    return Loop if has_uvloop else PlainLoop
