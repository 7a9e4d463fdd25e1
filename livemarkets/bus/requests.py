"""Asks ingests, for an edge: one question goes to one ingest, and its answer comes in parts."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from livemarkets.bus import subjects
from livemarkets.bus.heard import NO_INGEST
from livemarkets.bus.link import Link
from livemarkets.bus.messages import decode, encode
from livemarkets.bus.questions import Answer, Question, error_of
from livemarkets.errors import ExchangeUnreachable, MalformedMessage

__all__ = ["Requests"]

_SECONDS = 12.0
"""Longer than a whole call of an exchange's REST API."""

_ANSWER = msgspec.msgpack.Decoder(Answer)


class _Pending:
    """A question that waits for its answer."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.parts: list[msgspec.Raw] = []

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Requests:
    """The questions of this process.

    Args:
        node: the name of this process.
        link: the connection to the bus.

    """

    def __init__(self, node: str, link: Link) -> None:
        self.asked = self.failed = 0
        """Questions since the start, and those without an answer."""
        self._link = link
        self._inbox = subjects.answers_to(node)
        self._pending: dict[str, _Pending] = {}
        link.subscribe(f"{self._inbox}.*", self._handle)

    async def ask(
        self,
        exchange: str,
        node: str,
        question: Question,
        decoder: msgspec.msgpack.Decoder[Any],
    ) -> list[Any]:
        """Return the parts of the answer.

        Args:
            exchange: what the question is about.
            node: the ingest to ask.
            question: the question.
            decoder: of each part.

        Raises:
            ExchangeError: there is no answer in time, or it says that there is none.

        """
        self.asked += 1
        number = str(self.asked)
        pending = self._pending[number] = _Pending(node)
        try:
            reply = f"{self._inbox}.{number}"
            if not self._link.publish(subjects.questions(exchange, node), encode(question), reply):
                raise ExchangeUnreachable("the bus cannot be reached")
            async with asyncio.timeout(_SECONDS):
                await pending.done
            return [decoder.decode(part) for part in pending.parts]
        except TimeoutError:
            self.failed += 1
            raise ExchangeUnreachable("no ingest answered in time") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self.failed += 1
            raise MalformedMessage("bus", str(error)[:200]) from None
        except (ExchangeUnreachable, MalformedMessage):
            self.failed += 1
            raise
        finally:
            del self._pending[number]

    def _handle(self, data: bytes, subject: bytes, reply: bytes) -> None:
        pending = self._pending.get(subject.decode().rpartition(".")[2])
        if pending is None:
            return  # it has waited long enough
        if not data:
            pending.fail(ExchangeUnreachable(NO_INGEST))
            return
        answer = decode(data, _ANSWER)
        if answer is None:
            pending.fail(MalformedMessage("bus", "an answer of another version"))
        elif answer.failure is not None:
            pending.fail(error_of(answer.failure))
        elif answer.part != len(pending.parts):
            pending.fail(MalformedMessage("bus", "a part of an answer is missing"))
        else:
            pending.parts.append(answer.payload)
            if answer.is_last and not pending.done.done():
                pending.done.set_result(None)

    def note_gone(self, node: str | None) -> None:
        """Fail the questions to an ingest that is gone; all if the bus is."""
        for pending in self._pending.values():
            if node is None or pending.node == node:
                pending.fail(ExchangeUnreachable(NO_INGEST if node else "the bus cannot be reached"))
