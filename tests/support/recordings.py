"""The genuine recordings, which lie beside the project and are not part of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.helpers import PROJECT_ROOT

__all__ = ["BITCOIN_AND_ETHER", "find_recording", "recording"]

BITCOIN_AND_ETHER = "spot_btc_eth_20240808_trade.jsonl.gz"
"""Trades of two busy symbols."""


def find_recording(name: str) -> Path | None:
    """The path of a recording; `None` where it is not there."""
    path = PROJECT_ROOT.parent / "shared" / "data" / name
    return path if path.exists() else None


def recording(name: str) -> Path:
    """The path of a recording; the test is skipped where it is not there."""
    path = find_recording(name)
    if path is None:
        pytest.skip(f"the genuine recording {name} is not in ../shared/data")
    return path
