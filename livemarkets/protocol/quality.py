"""Encodes `quality`: the state of one stream. No I/O."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from livemarkets.market.channels import CANDLES
from livemarkets.market.models import StreamQuality
from livemarkets.protocol.messages import QualityMessage

__all__ = ["encode_quality"]

_encode = msgspec.json.Encoder().encode


def encode_quality(quality: StreamQuality) -> bytes:
    """Encode the quality of a stream. It is encoded once for all its readers."""
    key = quality.key
    return _encode(
        QualityMessage(
            key.exchange,
            key.channel,
            key.symbol,
            quality.state.value,
            quality.since,
            quality.complete_to,
            quality.last_id,
            quality.lost,
            quality.lost_ts,
            UNSET if key.channel != CANDLES else key.parameter or "",
        )
    )
