"""socketify (uWebSockets, C++): `publish` to a topic."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

import socketify  # type: ignore[import-not-found]

_PATH = "/ws/markets"
_TOPIC = "BTCUSDT"


def _message(number: int) -> bytes:
    now_ms = time.time_ns() // 1_000_000
    return (
        b'{"type":"trade","exchange":"binance","symbol":"BTCUSDT","price":61837.63127891,"size":0.02134567,'
        b'"side":"sell","ts":%d,"id":%d,"recv_ts":%d}' % (now_ms, number, now_ms)
    )


def serve(port: int) -> None:
    """Run until standard input ends."""
    app: Any = socketify.App()
    state = {"number": 1_000_000}

    def publish(ticks: int, burst: int) -> None:
        if ticks <= 0:
            print("DONE", flush=True)
            return
        for _ in range(burst):
            state["number"] += 1
            app.publish(_TOPIC, _message(state["number"]), socketify.OpCode.TEXT, False)
        app.loop.loop.call_soon(publish, ticks - burst, burst)

    def read() -> None:
        for line in sys.stdin:
            ticks, burst = map(int, line.split())
            app.loop.loop.call_soon_threadsafe(publish, ticks, burst)
        os._exit(0)

    app.ws(
        _PATH,
        {
            "compression": socketify.CompressOptions.DISABLED,
            "max_backpressure": 64 * 2**20,
            "open": lambda ws: ws.subscribe(_TOPIC),
            "message": lambda ws, message, opcode: None,
        },
    )
    threading.Thread(target=read, daemon=True).start()
    app.listen(port, lambda config: print(f"LISTEN {port}", flush=True))
    app.run()


if __name__ == "__main__":
    serve(int(sys.argv[sys.argv.index("--port") + 1]))
