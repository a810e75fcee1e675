"""--verbose and --log-file, wherever they stand."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from eig_tune.cli.app import app
from eig_tune.cli.log_options import with_log_options
from eig_tune.errors import EigTuneError
from eig_tune.terminal.logs import TerminalHandler

LOGGER = logging.getLogger("eig_tune")


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    handlers, level = [*LOGGER.handlers], LOGGER.level
    yield
    for handler in {*LOGGER.handlers} - {*handlers}:
        LOGGER.removeHandler(handler)
        handler.close()
    LOGGER.setLevel(level)


def shown_level() -> int:
    (handler,) = [handler for handler in LOGGER.handlers if isinstance(handler, TerminalHandler)]
    return handler.level


@pytest.mark.parametrize(
    ("arguments", "level"),
    [
        (["schema"], logging.INFO),
        (["schema", "-v"], logging.DEBUG),
        (["schema", "--verbose"], logging.DEBUG),
        (["-v", "schema"], logging.DEBUG),
        (["-v", "schema", "-v"], logging.DEBUG),
    ],
)
def test_verbose_stands_before_the_command_or_behind_it(arguments: list[str], level: int) -> None:
    app(arguments, standalone_mode=False)
    assert shown_level() == level


@pytest.mark.parametrize("before", [True, False])
def test_log_file_keeps_the_error_that_ended_the_command(
    tmp_path: Path, before: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.log"
    option, command = ["--log-file", str(file)], ["validate", str(tmp_path / "none.yaml")]
    with pytest.raises(EigTuneError, match="no such file"):
        app([*option, *command] if before else [*command, *option], standalone_mode=False)
    assert " ERROR eig_tune: " in file.read_text() and "there is no such file" in file.read_text()
    assert "Traceback" not in file.read_text()
    assert "no such file" not in capsys.readouterr().err, "main prints it"


def test_log_file_that_cannot_be_written_is_one_message() -> None:
    with pytest.raises(EigTuneError, match=r"--log-file: /proc/a\.log cannot be written"):
        app(["schema", "--log-file", "/proc/a.log"], standalone_mode=False)


def run_of(command: Callable[[], None], file: Path) -> Any:
    one = typer.Typer()
    one.command()(with_log_options(command))
    return one(["--log-file", str(file)], standalone_mode=False)


def test_log_file_keeps_the_traceback_of_a_bug(tmp_path: Path) -> None:
    def with_a_bug() -> None:
        raise KeyError("tau")

    with pytest.raises(KeyError):
        run_of(with_a_bug, tmp_path / "a.log")
    assert "Traceback" in (tmp_path / "a.log").read_text()


def test_exit_code_is_no_error(tmp_path: Path) -> None:
    def unfit() -> None:
        raise typer.Exit(2)

    assert run_of(unfit, tmp_path / "a.log") == 2
    assert (tmp_path / "a.log").read_text() == ""


def test_options_without_a_command_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        app(["-v"])
    assert ended.value.code == 2
    assert "Missing command" in capsys.readouterr().err
