"""Log records of the package: lines on the terminal, above a live table, and in a file."""

import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from eig_tune.errors import EigTuneError
from eig_tune.hpo.trial import Trial
from eig_tune.terminal.logs import LogFile, TerminalHandler, configure
from eig_tune.terminal.view import TerminalView

logger = logging.getLogger("eig_tune.somewhere.below")


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    """What a test configures is gone after it."""
    root = logging.getLogger("eig_tune")
    handlers, level = [*root.handlers], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def on_stderr(capsys: pytest.CaptureFixture[str]) -> list[str]:
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err.splitlines()


def test_facts_are_plain_and_warnings_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    configure(verbose=False, log_file=None)
    logger.debug("a detail")
    logger.info("a fact")
    logger.warning("a doubt")
    assert on_stderr(capsys) == ["a fact", "WARNING a doubt"]


def test_verbose_shows_details(capsys: pytest.CaptureFixture[str]) -> None:
    configure(verbose=True, log_file=None)
    logger.debug("a detail")
    assert on_stderr(capsys) == ["a detail"]


def test_names_are_shown_as_they_are_and_long_lines_whole(capsys: pytest.CaptureFixture[str]) -> None:
    configure(verbose=False, log_file=None)
    line = "[red]a[/] :smile: b 100 % " + "very long " * 60 + "END"
    logger.info("%s", line)
    assert on_stderr(capsys) == [line]


def test_control_characters_of_a_name_do_not_reach_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # pytest would capture the record, and pytest-xdist cannot send a lone surrogate between processes.
    monkeypatch.setattr(logging.getLogger("eig_tune"), "propagate", False)
    configure(verbose=False, log_file=None)
    logger.info("%s", "a\x1b[2Jb\udc80")
    assert on_stderr(capsys) == ["a[2Jb"]


def test_configuring_again_shows_nothing_twice(capsys: pytest.CaptureFixture[str]) -> None:
    for verbose in (True, False):
        configure(verbose, log_file=None)
    logger.info("a fact")
    logger.debug("a detail")
    assert on_stderr(capsys) == ["a fact"]


def test_file_keeps_everything_with_time_level_and_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "log"
    for text in ("one", "two"):
        configure(verbose=False, log_file=file)
        logger.debug(text)
    assert on_stderr(capsys) == []
    lines = file.read_text().splitlines()
    assert [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", "", line) for line in lines] == [
        "DEBUG eig_tune.somewhere.below: one",
        "DEBUG eig_tune.somewhere.below: two",
    ]


def test_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EigTuneError, match=r"--log-file: .*none.* cannot be written \(No such file or directory\)"):
        configure(verbose=False, log_file=tmp_path / "none" / "log")


def test_file_on_a_full_disk_is_given_up_with_one_warning(capsys: pytest.CaptureFixture[str]) -> None:
    configure(verbose=False, log_file=Path("/dev/full"))
    for number in range(3):
        logger.info("fact %d", number)
    warning = "WARNING --log-file: /dev/full cannot be written any more (No space left on device)"
    assert sorted(on_stderr(capsys)) == [warning, "fact 0", "fact 1", "fact 2"]
    assert not [h for h in logging.getLogger("eig_tune").handlers if isinstance(h, LogFile)]


def test_beside_a_live_table_warnings_appear_above_it_and_facts_do_not() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, color_system=None)
    root, handler = logging.getLogger("eig_tune"), TerminalHandler(console)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    with TerminalView(console).trials({0: Trial(0, {}, 0.0)}, 1, 100, {"nmi": "maximize"}) as observer:
        observer.heartbeat()
        logger.info("a fact")
        logger.warning("a doubt")
    logger.info("afterwards")
    assert "a fact" not in out.getvalue()
    assert "0 of 1 trials ended" in out.getvalue().split("WARNING a doubt")[1], (
        "the table is drawn again below the warning"
    )
    assert out.getvalue().rstrip().endswith("afterwards")
