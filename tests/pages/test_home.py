import pytest
from nicegui import Client
from nicegui.testing import User

from livemarkets.config.settings import Settings
from livemarkets.market.models import ExchangeState
from pages.elements.connection_badge import ConnectionBadge
from tests.pages.local import LocalServices
from tests.pages.visiting import in_simulated_time as in_simulated_time


async def test_home_says_what_this_is_and_how_the_exchanges_are(
    visitor: User, services: LocalServices
) -> None:
    services.set_status("binance", ExchangeState.DOWN, "name lookup failed")

    await visitor.open("/")

    await visitor.should_see("Live trades in a browser and over a WebSocket")
    await visitor.should_see("Binance down")
    await visitor.should_see("Name lookup failed.")
    await visitor.should_see("Simulator live")
    await visitor.should_see("ws://test/ws/markets")
    await visitor.should_not_see("LIVE_ACCESS_TOKEN")
    await visitor.should_see("/metrics")
    await visitor.should_see("Open the Live page")


async def test_home_subscribes_nothing(visitor: User, services: LocalServices) -> None:
    await visitor.open("/")

    assert services.manager.counts() == (0, 0, 0)
    assert services.loads == []


class TestWithAnExchangeThatThePagesDoNotKnow:
    @pytest.fixture
    def services(self) -> LocalServices:
        return LocalServices(more_exchanges=("harbour",))

    async def test_its_card_bears_its_own_name_and_says_the_same_of_it(
        self, visitor: User, services: LocalServices
    ) -> None:
        services.set_status("harbour", ExchangeState.DOWN, "name lookup failed")

        await visitor.open("/")

        await visitor.should_see("harbour down")
        await visitor.should_see(
            "Trades from harbour. Connects when somebody wants a symbol. Name lookup failed."
        )


class TestSwitchedOff:
    @pytest.fixture
    def services(self) -> LocalServices:
        return LocalServices(Settings(stream_enabled="false"))

    async def test_home_says_how_to_switch_it_on(self, visitor: User) -> None:
        await visitor.open("/")

        await visitor.should_see("LIVE_STREAM_ENABLED=true")
        await visitor.should_see(".env.local")
        await visitor.should_not_see("Open the Live page")
        await visitor.should_not_see(ConnectionBadge)

    async def test_labs_does_not_exist(self, visitor: User) -> None:
        response = await visitor.http_client.get("/labs")

        assert response.status_code == 404


async def test_what_does_not_exist_is_a_page_for_people_and_a_line_for_programs(visitor: User) -> None:
    person = await visitor.http_client.get("/nowhere", headers={"Accept": "text/html,*/*;q=0.8"})
    program = await visitor.http_client.get("/nowhere?a=secret", headers={"Accept": "*/*"})

    assert person.status_code == program.status_code == 404
    assert "There is no such page" in person.text
    assert program.text == "not found\n"
    assert not Client.instances, "nothing is kept for either"
