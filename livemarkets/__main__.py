"""The programs beside the app: `python -m livemarkets doctor` and `python -m livemarkets simulator`."""

from __future__ import annotations

import sys
from argparse import REMAINDER, ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import NoReturn

from livemarkets import __version__

__all__ = ["main"]

_COMMANDS = """commands:
  doctor      checks every assumption about Binance, from this machine (docs/doctor.md)
  simulator   serves the embedded exchange to other programs (docs/simulator.md)

`python -m livemarkets COMMAND --help` explains a command. The app itself is started by main.py."""


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with a message of one line."""
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a program beside the app. Return its exit code."""
    parser = _Parser(
        prog="python -m livemarkets",
        description="The programs beside the app.",
        epilog=_COMMANDS,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"Live Markets {__version__}")
    parser.add_argument("command", choices=("doctor", "simulator"), metavar="COMMAND")
    parser.add_argument("arguments", nargs=REMAINDER, metavar="…")
    options = parser.parse_args(arguments)
    # Imported here, because the imports take a while and --help does not need them.
    if options.command == "doctor":
        from livemarkets.doctor import command

        return command.main(options.arguments)
    from livemarkets.simulator import __main__ as simulator

    return simulator.main(options.arguments)


if __name__ == "__main__":
    sys.exit(main())
