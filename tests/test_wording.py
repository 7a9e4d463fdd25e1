"""Names and phrases are those of the field: nothing falls back into words that only its authors know.

`docs/vocabulary.md` has the words to use.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.helpers import PROJECT_ROOT

MAIN = PROJECT_ROOT / "main.py"
PRODUCT = sorted(
    [
        MAIN,
        *(
            path
            for folder in ("livemarkets", "pages", "clients")
            for path in (PROJECT_ROOT / folder).rglob("*.py")
        ),
    ]
)
TESTS = sorted((PROJECT_ROOT / "tests").rglob("*.py"))
DOCUMENTS = sorted(
    path for folder in (".", "docs", "clients/python") for path in (PROJECT_ROOT / folder).glob("*.md")
)

# What each has become stands behind it.
CLASSES = {
    "Access": "TokenAuth",
    "Core": "a port",
    "Desk": "ControlRequests",
    "Door": "SecurityMiddleware",
    "Emission": "StreamEvent",
    "FeedStore": "RecentTrades",
    "Gate": "HttpRequests",
    "Head": "LatestTrade",
    "Lane": "Conflator",
    "MarketStrip": "StatusBanner",
    "MarketWatch": "Watchlist",
    "Played": "RecordedFrame",
    "PreframedProtocol": "RawFrameProtocol",
    "Rhythm": "SilenceDetector",
    "Standing": "ActiveFault",
    "StrictHttpProtocol": "BoundedHttpProtocol",
    "Strip": "Banner",
    "Verdict": "TokenCheck",
    "View": "WatchlistUrl",
    "WatchLimits": "StalenessLimits",
    "Watcher": "StalenessMonitor",
}
FUNCTIONS = {
    "LogLimiter.allow": "suppressed_since_last",
    "due_directories": "a verb, since it notes that they are loaded",
    "_is_bogus": "_drop_impostor",
    "_may_send": "_take_message_slot",
    "passes": "take_if_next",
    "_rotation_due": "_note_due_rotation",
}
MODULES = {
    "access": "token_auth",
    "desk": "control_requests",
    "door": "middleware",
    "gate": "http_requests",
    "preframed": "websocket_protocol",
    "rhythm": "silence",
    "standing": "active",
    "strict_http": "http_protocol",
    "venue": "target",
    "verbs": "commands",
    "view": "url",
    "watch": "watchlist",
}
TEST_MODULES = {"delivering": "delivery", "listening": "listener", "running": "app"}

PHRASES = [
    r"\bwish(es|ed)?\b",
    r"\bgoodbyes?\b",
    r"\bcrying wolf\b",
    r"\bsee there\b",
    r"\bputs? out\b",
    r"\bwith a face\b",
    r"\bdo (it|all of it) until cancelled\b",
    r"\btrades go up\b",
    r"\bbrings? a tuning\b",
    r"\bREST rests\b",
    r"\bas the system has it\b",
    r"\bso order is that of causes\b",
]


def name_of(path: Path) -> str:
    return path.relative_to(PROJECT_ROOT).as_posix()


def definitions(node: ast.AST, owner: str = "") -> Iterator[tuple[str, str, int]]:
    """Each class and function: its owner and a dot, its name, its line."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield owner, child.name, child.lineno
            yield from definitions(child, f"{child.name}.")
        else:
            yield from definitions(child, owner)


def better_name(owner: str, name: str) -> str | None:
    """The name to use in place of one that is not to come back."""
    bare = name.lstrip("_")
    if bare.startswith("Venue"):
        return "Exchange…"
    return CLASSES.get(bare) or FUNCTIONS.get(name) or FUNCTIONS.get(owner + name)


def badly_named(path: Path) -> list[str]:
    found = [
        f"{name_of(path)}:{line}: {owner}{name}, better {better}"
        for owner, name, line in definitions(ast.parse(path.read_text(encoding="utf-8")))
        if (better := better_name(owner, name))
    ]
    if better := MODULES.get(path.stem):
        found.append(f"{name_of(path)}: better {better}.py")
    return found


def test_classes_functions_and_modules_have_names_that_can_be_looked_up() -> None:
    assert [problem for path in PRODUCT for problem in badly_named(path)] == []


def test_the_tests_tools_are_named_for_what_they_are() -> None:
    found = [
        f"{name_of(path)}: better {better}.py" for path in TESTS if (better := TEST_MODULES.get(path.stem))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("code", "better"),
    [
        ("class Watcher: ...", "StalenessMonitor"),
        ("class _Head: ...", "LatestTrade"),
        ("class VenueClock: ...", "Exchange…"),
        ("class Ledger:\n    def passes(self) -> bool: ...", "take_if_next"),
        ("class LogLimiter:\n    def allow(self) -> bool: ...", "suppressed_since_last"),
    ],
)
def test_a_planted_name_is_found(code: str, better: str) -> None:
    found = [better_name(owner, name) for owner, name, _ in definitions(ast.parse(code))]
    assert found[-1] == better


def phrases_in(text: str) -> list[str]:
    """What stands there that should not; a phrase may run over the end of a line."""
    plain = re.sub(r"\s*\n[\s#>|*-]*", " ", text)
    return [match.group() for phrase in PHRASES for match in re.finditer(phrase, plain, re.IGNORECASE)]


def test_the_words_are_plain() -> None:
    found = [
        f"{name_of(path)}: {phrase}"
        for path in [*DOCUMENTS, *PRODUCT]
        for phrase in phrases_in(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_a_planted_phrase_is_found() -> None:
    assert phrases_in("Who reads nothing is put\n    # out. Goodbye.") == ["Goodbye", "put out"]


def venues_in(text: str) -> list[str]:
    """Each line with `venue` that is not the word of the protocol, which stands in quotes or backquotes."""
    return [
        line.strip()
        for line in text.splitlines()
        if re.search(r"(?<![\"'`])venue|venue(?![\"'`])", line, re.I)
    ]


def test_venue_is_a_word_of_the_protocol_alone() -> None:
    found = [
        f"{name_of(path)}: {line}"
        for path in [*DOCUMENTS, *PRODUCT]
        for line in venues_in(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_a_planted_venue_is_found() -> None:
    lines = ['Gap(key, 1, 2, "venue")', "the cause `venue`", "venue.pulse()", "two venues"]
    assert venues_in("\n".join(lines)) == ["venue.pulse()", "two venues"]


# --- docs/architecture.md ------------------------------------------------------------------------------

SENTENCES_AT_MOST = 4
ANOTHER_SENTENCE = re.compile(r"[.!?][*)\"]* +[*(\[`\"]*[A-Z]")
END_OF_SENTENCE = re.compile(r"[.!?:][*)\"]*$")
RUN_IN_HEADING = re.compile(r"(- )?\*\*[^*]+\*\*")


def paragraphs(text: str) -> Iterator[list[str]]:
    """The lines of each paragraph and of each entry of a list; no headings, tables or drawings."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line and not line.startswith(("#", "|"))]
        entry: list[str] = []
        for line in lines:
            if line.startswith("- ") and entry:
                yield entry
                entry = []
            entry.append(line)
        if entry:
            yield entry


def test_the_architecture_has_one_sentence_a_line_and_few_a_paragraph() -> None:
    text = (PROJECT_ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    problems = []
    for lines in paragraphs(text):
        if sum(RUN_IN_HEADING.fullmatch(line) is None for line in lines) > SENTENCES_AT_MOST:
            problems.append(f"more than {SENTENCES_AT_MOST} sentences: {lines[0]}")
        problems += [f"two sentences in a line: {line}" for line in lines if ANOTHER_SENTENCE.search(line)]
        problems += [f"no whole sentence: {line}" for line in lines if not END_OF_SENTENCE.search(line)]
    assert problems == []
