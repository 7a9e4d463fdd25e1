"""`make dev`: the app, started again whenever one of its files changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import watchfiles

from tests.support.helpers import PROJECT_ROOT

STOP_SECONDS = 10
LOOK_MS = 250
"""How often one looks whether the app has ended by itself."""


def belongs_to_the_app(file: Path) -> bool:
    """Whether the app reads this file, given below its root, when it starts."""
    if file.parts[0] in {"livemarkets", "pages"}:
        return file.suffix in {".py", ".js", ".css"} and not file.name.startswith(".")
    return str(file) in {"main.py", ".env", ".env.local"}


class App:
    """`main.py` as a process, of which at most one runs."""

    def __init__(self, root: Path, arguments: Sequence[str]) -> None:
        self._root = root
        self._command = [sys.executable, "main.py", *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        # In a process group of its own: Ctrl-C reaches this program alone, which then asks the app once. An
        # app that is asked twice ends without closing its connections.
        environment = os.environ | {"LIVE_DRAIN_SECONDS": "0"}  # no balancer is in front of it
        self._process = subprocess.Popen(self._command, cwd=self._root, env=environment, process_group=0)

    def stop(self) -> None:
        """Ask it to end, and wait: its port is free afterwards."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            self._process.kill()
            self._process.wait()
        self._process = None

    def has_ended(self) -> int | None:
        """Its exit code, told once, when it ended by itself."""
        code = None if self._process is None else self._process.poll()
        if code is not None:
            self._process = None
        return code


def say(text: str) -> None:
    """Write a line at once, between those of the app."""
    sys.stdout.write(f"make dev: {text}\n")
    sys.stdout.flush()


def end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str], root: Path = PROJECT_ROOT) -> None:
    """Run until SIGINT, SIGTERM or SIGHUP; the arguments are those of `main.py`."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    app = App(root, arguments)

    def is_watched(change: watchfiles.Change, path: str) -> bool:
        return belongs_to_the_app(Path(path).relative_to(root))

    try:
        app.start()
        for changes in watchfiles.watch(
            root, watch_filter=is_watched, rust_timeout=LOOK_MS, yield_on_timeout=True
        ):
            code = app.has_ended()
            if code is not None:
                say(f"the app ended with {code}; it starts again when a file changes")
            if changes:
                names = sorted({str(Path(path).relative_to(root)) for _, path in changes})
                say(f"{', '.join(names)} changed, so the app starts again")
                app.stop()
                app.start()
    except KeyboardInterrupt:
        pass
    finally:
        app.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
