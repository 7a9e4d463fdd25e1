"""How the tests of a run are spread over worker processes, when there are several (`make test`).

Most tests wait for sockets and timers, so files of them run side by side, more than there are cores. Files
whose tests share a browser go to one worker: it starts the browser, which compiles the scripts of the pages
once. A test with the mark `serial` measures time or takes a whole core: such tests come last, one after
another in one process, when all others have ended. Those with `serial(quiet=True)` wait most of the time, and
their limits are seconds: they come before, in three processes. Without workers the order is the same.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

__all__ = [
    "pytest_collection_finish",
    "pytest_collection_modifyitems",
    "pytest_xdist_auto_num_workers",
    "pytest_xdist_make_scheduler",
]

LONGEST_FIRST = (
    "test_every_check_fails",
    "test_candles",
    "test_come_and_go",
    "test_behind_a_balancer",
    "test_instances",
    "test_chart_browser",
    "test_link",
    "test_end_to_end",
    "test_main",
    "test_through_faults",
    "test_resume",
    "test_middleware",
    "test_behind_nginx",
    "test_browser",
    "test_manual",
    "test_labs",
    "test_soak",
    "test_pieces",
    "test_foreign_app",
    "test_storm",
    "test_staleness",
    "test_exchange",
    "test_layout",
    "test_picker",
    "test_control",
    "test_backfill",
    "test_console_browser",
    "test_recording",
    "test_readme",
    "test_comfort",
    "test_vanishing",
    "test_dev",
    "test_conformance",
)
"""Files that take long begin first: whichever came last would be waited for by all other workers."""

ALONE = "alone"
QUIET = "quiet "
"""The work unit of a quiet test begins so. A file whose tests share what one of them makes is one unit."""
QUIET_AT_ONCE = 3
BROWSER = "browser"
"""The work unit of all tests that share a browser."""


class _Named(NamedTuple):
    nodeid: str


class SideBySide(LoadScopeScheduling):  # type: ignore[misc]
    """Each file is given to one worker, so that its fixtures are made once; the serial tests come last."""

    def _split_scope(self, nodeid: str) -> str:
        name, _, unit = nodeid.rpartition("@")
        return unit if name and _is_named(unit) else nodeid.split("::", 1)[0]

    def _assign_work_unit(self, node: WorkerController) -> None:
        if ALONE in self.workqueue:
            self.workqueue.move_to_end(ALONE)
        if self._workers_at_once() is None:
            super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        at_once = self._workers_at_once()
        if at_once is None:
            super()._reschedule(node)
            return
        # A worker keeps its last test until it knows the next one, or that there is none: so those that are
        # too many are told that there is none, and the others get serial tests once these have ended.
        staying = [one for one in self.nodes if not one.shutting_down]
        for other in staying[at_once:]:
            other.shutdown()
        del staying[at_once:]
        if any(self._pending_of(work) for one, work in self.assigned_work.items() if one not in staying):
            return
        for one in staying:
            if self.workqueue and self._pending_of(self.assigned_work[one]) <= 1:
                super()._assign_work_unit(one)
            if self._workers_at_once() != at_once:
                self._reschedule(node)
                return

    def _workers_at_once(self) -> int | None:
        """How many workers may have what is to be given out now; `None` for all of them."""
        if not self.workqueue or not all(unit == ALONE or unit.startswith(QUIET) for unit in self.workqueue):
            return None
        return 1 if set(self.workqueue) == {ALONE} else QUIET_AT_ONCE


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Several for the whole; to start them takes longer than most of what somebody chooses."""
    is_whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return 5 if is_whole and not config.option.keyword and not config.option.markexpr else 0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> SideBySide | None:
    return SideBySide(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is long, unless `-m` asks for it; the longest files are first, the serial tests last."""
    if "verify" not in config.option.markexpr:
        long = [item for item in items if item.get_closest_marker("verify")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}

    def place(item: pytest.Item) -> tuple[bool, bool, int]:
        return is_serial(item), not is_quiet(item), places.get(item.path.stem, len(places))

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_collection_finish(session: pytest.Session) -> Iterator[None]:
    """Let a worker tell the scheduler, which sees nothing of a test but its name, what it belongs to.

    What the collection made stays until the end. Frozen, it costs no garbage collection anything: NiceGUI's
    `user` fixture makes two full ones for each test.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
    items = session.items
    if hasattr(session.config, "workerinput"):
        session.items = list(_named(items))  # type: ignore[arg-type]
    try:
        yield
    finally:
        session.items = items


def _named(items: Sequence[pytest.Item]) -> Iterator[_Named]:
    in_browser = {item.path for item in items if "shared_chrome" in getattr(item, "fixturenames", ())}
    quiet: dict[Path | str, int] = {}
    for item in items:
        unit = BROWSER if item.path in in_browser else None
        if is_quiet(item):
            shared = item.path if shares_with_its_file(item) else item.nodeid
            unit = f"{QUIET}{quiet.setdefault(shared, len(quiet))}"
        elif is_serial(item):
            unit = ALONE
        yield _Named(f"{item.nodeid}@{unit}" if unit else item.nodeid)


def _is_named(unit: str) -> bool:
    return unit in (ALONE, BROWSER) or unit.startswith(QUIET)


def is_serial(item: pytest.Item) -> bool:
    return item.get_closest_marker("serial") is not None


def is_quiet(item: pytest.Item) -> bool:
    """Whether a serial test may run beside another that is quiet."""
    mark = item.get_closest_marker("serial")
    return mark is not None and bool(mark.kwargs.get("quiet"))


def shares_with_its_file(item: pytest.Item) -> bool:
    """Whether a fixture of a test is made once for its file."""
    fixtures = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    return any(definitions[-1].scope == "module" for definitions in fixtures.values())
