"""Work that is spread over the turns of the event loop."""

from __future__ import annotations

import asyncio

from livemarkets.server.turns import Turns


class Worker:
    """Notes in which turn of the event loop each task goes on, and in which order."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.at: list[int] = []
        self._turn = 0
        asyncio.get_running_loop().call_soon(self._count)

    def _count(self) -> None:
        self._turn += 1
        asyncio.get_running_loop().call_soon(self._count)

    async def work(self, turns: Turns, name: str) -> None:
        await turns.wait()
        self.order.append(name)
        self.at.append(self._turn)


async def test_one_task_goes_on_in_each_turn_whatever_kind_it_is() -> None:
    worker, clients = Worker(), Turns()
    pages = Turns(clients)
    await asyncio.gather(*(worker.work(turns, "") for turns in [clients, pages] * 10))
    assert all(later > earlier for earlier, later in zip(worker.at, worker.at[1:], strict=False))
    assert worker.at[-1] - worker.at[0] < 2 * 20, "and no turn is left out without need"


async def test_many_tasks_of_one_kind_do_not_keep_another_kind_waiting() -> None:
    worker, clients = Worker(), Turns()
    kinds = {"client": clients, "page": Turns(clients), "request": Turns(clients)}
    wanted = ["client"] * 50 + ["page"] * 2 + ["request"] * 2
    await asyncio.gather(*(worker.work(kinds[name], name) for name in wanted))
    assert worker.order[:7] == ["client", "client", "page", "request", "client", "page", "request"]


async def test_who_is_cancelled_while_it_waits_takes_no_turn() -> None:
    worker, turns = Worker(), Turns()
    tasks = [asyncio.create_task(worker.work(turns, str(at))) for at in range(6)]
    await asyncio.sleep(0)
    for task in tasks[1:4]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert worker.order == ["0", "4", "5"]
    assert worker.at[-1] - worker.at[0] < 6
