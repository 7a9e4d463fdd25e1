"""`docs/cluster.md` has every message of the bus with its fields in their order, and every subject."""

from __future__ import annotations

import inspect
from types import ModuleType

import msgspec
import pytest

from livemarkets.bus import messages, questions, subjects
from livemarkets.market.models import StreamKey
from tests.support.helpers import PROJECT_ROOT

MANUAL = (PROJECT_ROOT / "docs" / "cluster.md").read_text()


def structs(module: ModuleType) -> list[type[msgspec.Struct]]:
    return [
        each
        for name, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, msgspec.Struct)
        and each.__module__ == module.__name__
        and not name.startswith("_")
    ]


@pytest.mark.parametrize("struct", [*structs(messages), *structs(questions)])
def test_each_message_has_its_fields_in_their_order(struct: type[msgspec.Struct]) -> None:
    fields = ", ".join(f"`{name}`" for name in struct.__struct_fields__) or "none"
    assert f"\n| `{struct.__name__}` | {fields} | " in MANUAL


def test_every_subject_is_named() -> None:
    shown = {
        subjects.BEATS,
        subjects.STREAMS,
        subjects.WANTS,
        subjects.ASK_WANTS,
        subjects.questions("E", "<node>").replace("E", "<exchange>"),
        subjects.answers_to("<node>") + ".<number>",
        subjects.data(StreamKey("E", "C", "S")).replace(
            "E.C.S", "<exchange>.<channel>.<symbol>[.<interval>]"
        ),
    }
    assert {subject for subject in shown if f"\n| `{subject}` | " not in MANUAL} == set()
    constants = {value for value in vars(subjects).values() if str(value).startswith("lm.1.")}
    assert constants <= shown
