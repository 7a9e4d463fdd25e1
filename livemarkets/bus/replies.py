"""Answers the questions of edges, for an ingest: from memory where that is enough, else from the exchange.

Questions that are the same at one moment are asked once. A hole that this process is filling already is
waited for, so that many edges that miss the same trades cost no call of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from loguru import logger

from livemarkets.bus import subjects
from livemarkets.bus.answers import ExchangeAnswers
from livemarkets.bus.link import Link
from livemarkets.bus.messages import VERSION, decode, encode
from livemarkets.bus.questions import Answer, Question, failed
from livemarkets.errors import ExchangeError, ExchangeUnreachable

__all__ = ["Replies"]

_AT_ONCE = 50
_MOST_WAITING = 2000

_QUESTION: msgspec.msgpack.Decoder[Question] = msgspec.msgpack.Decoder(Question)


class _Asked(msgspec.Struct):
    """A question, and the subjects of those who wait for its answer."""

    key: tuple[str, bytes]
    answers: ExchangeAnswers
    question: Question
    replies: list[str]


class Replies:
    """The questions that this process answers.

    Args:
        node: the name of this process.
        link: the connection to the bus.

    """

    def __init__(self, node: str, link: Link) -> None:
        self.answered = self.refused = 0
        """Questions since the start, and those of them that got no answer."""
        self._node = node
        self._link = link
        self._waiting: list[_Asked] = []
        self._under_way: dict[tuple[str, bytes], _Asked] = {}
        self._wake = asyncio.Event()

    def add(self, exchange: str, answers: ExchangeAnswers) -> None:
        """Answer the questions about an exchange from now on."""

        def handle(data: bytes, subject: bytes, reply: bytes) -> None:
            if reply:
                self._note(exchange, answers, data, reply.decode())

        self._link.subscribe(subjects.questions(exchange, self._node), handle)

    def _note(self, exchange: str, answers: ExchangeAnswers, data: bytes, reply: str) -> None:
        asked = self._under_way.get((exchange, data))
        if asked is not None:
            asked.replies.append(reply)
            return
        question = decode(data, _QUESTION)
        if question is None:
            return
        if len(self._waiting) >= _MOST_WAITING:
            self._refuse([reply], ExchangeUnreachable("the ingest has too many questions"))
            return
        self._waiting.append(_Asked((exchange, data), answers, question, [reply]))
        self._wake.set()

    async def run(self) -> None:
        """Answer until cancelled."""
        places = asyncio.Semaphore(_AT_ONCE)
        self._under_way.clear()
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._wake.clear()
                waiting, self._waiting = self._waiting, []
                for asked in waiting:
                    await places.acquire()
                    name = f"answer to {type(asked.question).__name__}"
                    task = tasks.create_task(self._answer(asked), name=name)
                    task.add_done_callback(lambda _: places.release())
                if not self._waiting:
                    await self._wake.wait()

    async def _answer(self, asked: _Asked) -> None:
        self.answered += 1
        answers, question = asked.answers, asked.question
        try:
            parts = answers.at_once(question)
            if parts is None:
                self._under_way.setdefault(asked.key, asked)
                parts = await answers.fetch(question)
        except ExchangeError as error:
            self._refuse(asked.replies, error)
            return
        except Exception as error:  # a defect here must not leave the edge waiting, nor end the task group
            logger.opt(exception=error).error("the question {} could not be answered", question)
            self._refuse(asked.replies, ExchangeUnreachable("the ingest failed to answer"))
            return
        finally:
            if self._under_way.get(asked.key) is asked:
                del self._under_way[asked.key]
        for number, part in enumerate(parts):
            payload = msgspec.Raw(encode(part))
            self._send(
                asked.replies, Answer(VERSION, self._node, number, number == len(parts) - 1, None, payload)
            )
            await asyncio.sleep(0)

    def _refuse(self, replies: Sequence[str], error: ExchangeError) -> None:
        self.refused += 1
        self._send(replies, failed(self._node, error))

    def _send(self, replies: Sequence[str], answer: Answer) -> None:
        data = encode(answer)
        for reply in replies:
            self._link.publish(reply, data)
