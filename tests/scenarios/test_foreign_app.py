"""The app on the foreign exchange, one habit or fault at a time; the state machine mixes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

import pytest

from tests.support.app import running_app, settings_for
from tests.support.foreign import (
    ACKS,
    BAN_FORMS,
    CUTS,
    FRAMINGS,
    REST_MANNERS,
    SICKNESSES,
    SYMBOLS,
    TEXTS,
    foreign_exchange,
)
from tests.support.foreign.reader import Reader
from tests.support.foreign.world import World, running_world, tuning
from tests.support.helpers import eventually
from tests.support.simulated_time import time_is_simulated

pytestmark = pytest.mark.long

ALL = list(SYMBOLS)
OTHER = "币安人生USDT"
PATIENCE_SECONDS = 6.0
"""Long enough that whatever can be fetched is fetched, also on a busy machine."""
SHORT_SECONDS = 1.5
"""For what has to be waited for until the patience is over."""


@pytest.fixture
def world() -> AbstractAsyncContextManager[World]:
    return running_world(patience_seconds=PATIENCE_SECONDS)


@pytest.fixture
def hurried_world() -> AbstractAsyncContextManager[World]:
    return running_world(patience_seconds=SHORT_SECONDS)


def has_all(reader: Reader, world: World, *symbols: str) -> bool:
    return all(reader.records[symbol].reached == world.exchange.truth.newest(symbol) for symbol in symbols)


async def reader_of(world: World, *symbols: str) -> Reader:
    """A reader whose streams have brought a trade each."""
    reader = await world.join(*symbols)
    await eventually(lambda: world.wanted() <= world.exchange.carried, because="subscriptions upstream")
    world.exchange.market.trade(*symbols)
    await eventually(lambda: has_all(reader, world, *symbols), because="first trades")
    return reader


def declared(reader: Reader, symbol: str) -> dict[str, int]:
    return reader.records[symbol].declared


async def in_worlds(
    case: Callable[[World, str], Awaitable[None]],
    manners: Sequence[str],
    *,
    patience_seconds: float = PATIENCE_SECONDS,
) -> None:
    """Try each manner in a world of its own, all at the same time: most of it is waiting."""

    async def one(manner: str) -> None:
        async with running_world(patience_seconds=patience_seconds) as world:
            try:
                await case(world, manner)
            except AssertionError as error:
                raise AssertionError(f"{manner}: {error}") from error

    async with asyncio.TaskGroup() as tasks:
        for manner in manners:
            tasks.create_task(one(manner), name=manner)


# frames, texts, numbers


@time_is_simulated
async def test_frames_may_be_split_merged_and_fragmented() -> None:
    await in_worlds(_frames_may_be_split_merged_and_fragmented, FRAMINGS)


async def _frames_may_be_split_merged_and_fragmented(world: World, framing: str) -> None:
    reader = await reader_of(world, *ALL)
    world.exchange.faults.frames(framing)
    world.exchange.market.trade(*ALL, count=20)
    await eventually(lambda: has_all(reader, world, *ALL))
    world.check()


@time_is_simulated
async def test_json_may_be_written_in_any_way() -> None:
    await in_worlds(_json_may_be_written_in_any_way, TEXTS)


async def _json_may_be_written_in_any_way(world: World, text: str) -> None:
    reader = await reader_of(world, *ALL)
    world.exchange.faults.texts(text)
    world.exchange.market.trade(*ALL, count=5)
    await eventually(lambda: has_all(reader, world, *ALL))
    world.check()


@time_is_simulated
async def test_a_trade_whose_values_make_no_sense_is_declared_as_invalid(world: World) -> None:
    reader = await reader_of(world, "BTCUSDT")
    world.exchange.faults.invalid("BTCUSDT")
    await eventually(lambda: has_all(reader, world, "BTCUSDT"), PATIENCE_SECONDS + 3)
    world.check()
    assert declared(reader, "BTCUSDT") == {"invalid": 1}


@time_is_simulated
async def test_an_id_that_the_exchange_left_out_is_declared_as_such(world: World) -> None:
    reader = await reader_of(world, "BTCUSDT")
    world.exchange.faults.skip("BTCUSDT", 2)
    await eventually(lambda: has_all(reader, world, "BTCUSDT"), PATIENCE_SECONDS + 3)
    world.check()
    assert declared(reader, "BTCUSDT") == {"venue": 2}


# connections


@time_is_simulated
async def test_after_a_cut_quiet_streams_are_whole_too() -> None:
    await in_worlds(_after_a_cut_quiet_streams_are_whole_too, CUTS)


async def _after_a_cut_quiet_streams_are_whole_too(world: World, manner: str) -> None:
    reader = await reader_of(world, *ALL)
    world.exchange.faults.cut(manner)
    world.exchange.market.trade(*ALL, count=3)  # nothing trades after them
    await eventually(lambda: has_all(reader, world, *ALL), 8, because="what was missed in the cut")
    world.check()


@time_is_simulated
async def test_acknowledgements_of_any_kind_do_no_harm() -> None:
    await in_worlds(_acknowledgements_of_any_kind_do_no_harm, ACKS)


async def _acknowledgements_of_any_kind_do_no_harm(world: World, manner: str) -> None:
    reader = await reader_of(world, "BTCUSDT")
    world.exchange.faults.acks(manner, manner, late_seconds=1.0)
    await reader.subscribe("TUSDT", OTHER)
    await eventually(lambda: world.wanted() <= world.exchange.carried, 12)
    world.exchange.market.trade("BTCUSDT", "TUSDT", OTHER, count=2)
    await eventually(lambda: has_all(reader, world, "BTCUSDT", "TUSDT", OTHER))
    world.check()


@pytest.mark.verify
@time_is_simulated
async def test_data_counts_as_an_acknowledgement(world: World) -> None:
    reader = await reader_of(world, "BTCUSDT")
    dials = world.exchange.rules.dials
    world.exchange.faults.acks(*["never"] * 20)
    await reader.subscribe("TUSDT")
    await eventually(lambda: "tusdt@trade" in world.exchange.carried)
    for _ in range(27):  # longer than three lost acknowledgements
        world.exchange.market.trade("BTCUSDT", "TUSDT")
        await asyncio.sleep(0.2)
    await eventually(lambda: has_all(reader, world, "BTCUSDT", "TUSDT"))
    world.check()
    assert world.exchange.rules.dials == dials


@time_is_simulated
async def test_a_sick_address_is_passed_over() -> None:
    await in_worlds(_a_sick_address_is_passed_over, SICKNESSES)


async def _a_sick_address_is_passed_over(world: World, sickness: str) -> None:
    reader = await reader_of(world, "BTCUSDT")
    dials = world.exchange.rules.dials
    world.exchange.faults.sicken(0, sickness)
    world.exchange.faults.cut("1001")
    world.exchange.market.trade("BTCUSDT")
    await eventually(lambda: has_all(reader, world, "BTCUSDT"), 12)
    world.check()
    assert world.exchange.rules.dials - dials < 12


@time_is_simulated
async def test_a_ban_from_streams_is_kept_however_it_is_told() -> None:
    await in_worlds(_a_ban_from_streams_is_kept_however_it_is_told, BAN_FORMS)


async def _a_ban_from_streams_is_kept_however_it_is_told(world: World, form: str) -> None:
    reader = await reader_of(world, "BTCUSDT")
    world.exchange.faults.ban_dials(2.0, form)
    world.exchange.faults.cut("1001")
    world.exchange.market.trade("BTCUSDT")
    await asyncio.sleep(0.2)
    await reader.leave(abruptly=True)  # a ban outlives whoever comes and goes
    await eventually(lambda: world.app.services.manager.wanted("binance") == set())
    await reader.join()
    await reader.subscribe("BTCUSDT")
    await eventually(lambda: world.wanted() <= world.exchange.carried, 8, because="a dial after the ban")
    await eventually(lambda: has_all(reader, world, "BTCUSDT"))
    world.check()
    assert declared(reader, "BTCUSDT") == {}


@time_is_simulated
async def test_a_ban_from_rest_is_kept_however_it_is_told_and_streams_go_on() -> None:
    await in_worlds(
        _a_ban_from_rest_is_kept_however_it_is_told_and_streams_go_on,
        BAN_FORMS,
        patience_seconds=SHORT_SECONDS,
    )


async def _a_ban_from_rest_is_kept_however_it_is_told_and_streams_go_on(world: World, form: str) -> None:
    reader = await reader_of(world, "BTCUSDT", "TUSDT")
    world.exchange.faults.ban(3.0, form)
    world.exchange.faults.withhold("BTCUSDT", count=3)
    world.exchange.market.trade("BTCUSDT")
    world.exchange.faults.cut("1001")
    await eventually(lambda: world.exchange.open_connections > 0, because="streams go on")
    await eventually(lambda: world.wanted() <= world.exchange.carried)
    world.exchange.market.trade("TUSDT")
    await eventually(lambda: has_all(reader, world, "TUSDT"))
    await eventually(lambda: has_all(reader, world, "BTCUSDT"), PATIENCE_SECONDS + 3)
    world.exchange.faults.withhold("TUSDT", count=3)
    world.exchange.market.trade("TUSDT")
    await eventually(lambda: has_all(reader, world, "TUSDT"), 8, because="REST after the ban")
    world.check()


# REST


@time_is_simulated
async def test_the_other_address_answers_for_a_broken_one() -> None:
    unlike = {"hang", "trickle"}  # these take longer than the patience of a short case
    unlike |= {"empty list"}  # this may be the truth
    await in_worlds(_the_other_address_answers, [each for each in REST_MANNERS if each not in unlike])


@pytest.mark.verify
@time_is_simulated
async def test_the_other_address_answers_for_one_that_takes_its_time() -> None:
    await in_worlds(_the_other_address_answers, ["hang", "trickle"], patience_seconds=15.0)


async def _the_other_address_answers(world: World, manner: str) -> None:
    reader = await reader_of(world, *ALL)
    world.exchange.faults.break_rest(manner, address=0)
    world.exchange.faults.withhold(*ALL, count=3)
    world.exchange.market.trade(*ALL)
    await eventually(lambda: has_all(reader, world, *ALL), world.patience_seconds + 3)
    world.check()
    assert [declared(reader, symbol) for symbol in ALL] == [{}] * len(ALL)


@time_is_simulated
async def test_a_database_that_lags_proves_nothing(world: World) -> None:
    reader = await reader_of(world, *ALL)
    world.exchange.faults.lag(30)
    world.exchange.faults.withhold(*ALL, count=20)
    world.exchange.market.trade(*ALL)
    await eventually(lambda: has_all(reader, world, *ALL), PATIENCE_SECONDS + 3)
    world.check()
    assert [declared(reader, symbol) for symbol in ALL] == [{}] * len(ALL)


@time_is_simulated
async def test_a_replica_that_lacks_the_middle_proves_nothing(world: World) -> None:
    reader = await reader_of(world, "BTCUSDT")
    first = world.exchange.truth.newest("BTCUSDT") + 1
    world.exchange.faults.lack("BTCUSDT", first + 1, first + 3)
    world.exchange.faults.withhold("BTCUSDT", count=6)
    world.exchange.market.trade("BTCUSDT")
    await eventually(lambda: has_all(reader, world, "BTCUSDT"), PATIENCE_SECONDS + 3)
    world.check()
    assert declared(reader, "BTCUSDT") == {}


@time_is_simulated
async def test_a_long_hole_is_fetched_though_the_pages_are_short(world: World) -> None:
    reader = await reader_of(world, "BTCUSDT")
    world.exchange.faults.break_rest("short pages")
    world.exchange.faults.withhold("BTCUSDT", count=100)
    world.exchange.market.trade("BTCUSDT")
    await eventually(lambda: has_all(reader, world, "BTCUSDT"), PATIENCE_SECONDS + 3)
    world.check()
    assert declared(reader, "BTCUSDT") == {}


@time_is_simulated
async def test_an_old_id_that_is_answered_with_the_oldest_still_served_is_history(world: World) -> None:
    reader = await reader_of(world, "BTCUSDT")
    await reader.leave(abruptly=False)
    await eventually(lambda: world.exchange.carried == set())
    world.exchange.market.trade("BTCUSDT", count=1500)
    oldest = world.exchange.truth.newest("BTCUSDT") - 1200
    world.exchange.faults.forget("BTCUSDT", oldest)
    await reader.join()
    await reader.subscribe("BTCUSDT")
    await eventually(lambda: has_all(reader, world, "BTCUSDT"), PATIENCE_SECONDS + 3)
    world.check()
    assert set(declared(reader, "BTCUSDT")) == {"history"}


RIGHT_MANNERS = ("honest", "wrong type", "short pages")
"""Odd but right: what is missing can be fetched."""


@pytest.mark.long
@time_is_simulated
async def test_whatever_rest_does_what_the_stream_brought_arrives() -> None:
    wrong = [manner for manner in REST_MANNERS if manner not in RIGHT_MANNERS]
    await in_worlds(_what_the_stream_brought_arrives, wrong, patience_seconds=SHORT_SECONDS)


@time_is_simulated
async def test_what_a_right_answer_has_is_declared_by_nobody() -> None:
    await in_worlds(_what_the_stream_brought_arrives, RIGHT_MANNERS)


async def _what_the_stream_brought_arrives(world: World, manner: str) -> None:
    reader = await reader_of(world, *ALL)
    world.exchange.faults.break_rest(manner)
    world.exchange.faults.withhold("BTCUSDT", count=3)
    world.exchange.market.trade(*ALL)
    others = [symbol for symbol in ALL if symbol != "BTCUSDT"]
    await eventually(lambda: has_all(reader, world, *others))
    await eventually(lambda: has_all(reader, world, "BTCUSDT"), PATIENCE_SECONDS + 5)
    world.check()
    assert declared(reader, "BTCUSDT") == ({} if manner in RIGHT_MANNERS else {"upstream": 3})


@time_is_simulated
async def test_a_firewall_that_dislikes_one_name_costs_the_others_nothing(world: World) -> None:
    reader = await reader_of(world, *ALL)
    world.exchange.faults.break_rest("html with 403", OTHER)
    world.exchange.faults.withhold(*ALL, count=2)
    world.exchange.market.trade(*ALL)
    others = [symbol for symbol in ALL if symbol != OTHER]
    await eventually(lambda: has_all(reader, world, *others), PATIENCE_SECONDS)
    world.check()
    assert [declared(reader, symbol) for symbol in others] == [{}] * len(others)


@time_is_simulated
async def test_the_weight_that_others_spent_is_believed(hurried_world: World) -> None:
    world = hurried_world
    reader = await reader_of(world, *ALL)
    world.exchange.rules.pretend_used(5900)
    world.exchange.faults.withhold("BTCUSDT")
    world.exchange.market.trade("BTCUSDT")  # its answer tells of the others
    await eventually(lambda: has_all(reader, world, "BTCUSDT"))
    for _ in range(4):
        world.exchange.faults.withhold(*ALL)
        world.exchange.market.trade(*ALL)
        await asyncio.sleep(0.15)
    await eventually(lambda: has_all(reader, world, *ALL), SHORT_SECONDS + 5)
    assert [each for each in world.exchange.rules.violations if "weight" in each] == []


# the list


@time_is_simulated
async def test_odd_entries_in_the_list_cost_only_themselves() -> None:
    async with foreign_exchange() as exchange:
        exchange.faults.odd_entries()
        settings = settings_for(None, binance_ws_url=exchange.ws_url, binance_rest_url=exchange.rest_url)
        async with running_app(settings, tuning=tuning(PATIENCE_SECONDS)) as app:
            client = await app.connect()
            await client.subscribe("BTCUSDT")

            async def is_listed() -> bool:
                return "BTCUSDT" in (await app.get("/api/symbols", exchange="binance", q="btc")).text

            await eventually(is_listed)
            reply = await client.subscribe(*ALL, "NOPEUSDT")
            assert [result["ok"] for result in reply["results"]] == [True] * len(ALL) + [False]


@time_is_simulated
async def test_a_symbol_that_is_halted_and_delisted_costs_its_neighbours_nothing(world: World) -> None:
    reader = await reader_of(world, *ALL)
    dials = world.exchange.rules.dials
    for status in ("BREAK", "HALT", "CANCEL_ONLY", "UNHEARD_OF"):
        world.exchange.faults.set_status(OTHER, status)
        world.exchange.market.trade("BTCUSDT")
    world.exchange.faults.delist(OTHER)
    world.exchange.market.trade("BTCUSDT", "TUSDT", count=3)
    await eventually(lambda: has_all(reader, world, *ALL))
    world.check()
    assert world.exchange.rules.dials == dials
