"""What a test asks about a session that runs against an exchange."""

from livemarkets.exchanges.binance.session import Session


def is_settled(session: Session, now: float) -> bool:
    """Whether all that is wanted is acknowledged (what was refused left aside) and no answer is awaited."""
    is_idle = session.next_due(now) is None or bool(session.rejected)
    return is_idle and session.acknowledged == session.wanted - session.rejected.keys()
