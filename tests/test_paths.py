"""Paths and names as people write them: what is meant, or one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eig_tune.errors import EigTuneError
from eig_tune.paths import absolute, check_name, expanded, have_a_home


def test_tilde_that_a_shell_has_left_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded(Path("~/x"), "--out") == Path("/home/me/x")
    assert absolute(Path("~/x/../y"), "--home") == Path("/home/me/y")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("~nobody-has-this-name/x", "write the whole path, or set HOME"),
        ("x" * 300, "File name too long"),
        ("loop/x", "cannot be used"),
        ("a\nb", "control characters"),
        (os.fsdecode(b"caf\xe9"), "not UTF-8"),
    ],
)
def test_path_that_no_file_system_has_is_one_line(
    path: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    with pytest.raises(EigTuneError, match=f"^--home: .*{expected}") as caught:
        absolute(Path(path), "--home")
    assert "\n" not in str(caught.value)


def test_user_without_a_home_folder_gets_one_that_nobody_can_fill(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as some number; MLflow asks for the home folder as soon as it is imported."""

    def no_such_user(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", no_such_user)
    with pytest.raises(EigTuneError, match="there is no home folder for ~ here"):
        expanded(Path("~/x"), "--out")
    have_a_home()
    assert Path.home() == Path("/")


def test_folder_that_was_deleted_under_the_command_is_one_line(tmp_path: Path) -> None:
    program = (
        "import os, pathlib; from eig_tune.paths import absolute; os.rmdir(os.getcwd())\n"
        "absolute(pathlib.Path('eig-runs'), '--home')"
    )
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run([sys.executable, "-c", program], cwd=gone, capture_output=True, text=True, check=False)
    assert "EigTuneError: --home: the folder in which this command was started is not there any more" in done.stderr


@pytest.mark.parametrize("name", ["digits", "my search", "ünï", "50%?#&[x]", "it's `a`", "..a".strip("."), "x" * 200])
def test_name_that_will_do(name: str) -> None:
    check_name(name, "--name")


@pytest.mark.parametrize(
    "name",
    ["", " ", " a", "a ", ".", "..", ".hidden", "a/b", "../a", "/a", "a\\b", "a\nb", "a\x00b", "é" * 101,
     "caf\udce9"],
)  # fmt: skip
def test_name_that_is_no_folder_or_no_experiment_is_refused(name: str) -> None:
    with pytest.raises(EigTuneError, match=r"^--name: got .*; give another name$") as caught:
        check_name(name, "--name")
    assert "\n" not in str(caught.value)
