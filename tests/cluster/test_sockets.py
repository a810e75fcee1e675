"""Where Ray's sockets lie, and whose they are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eig_tune.cluster.sockets import others_user, temporary_folder
from eig_tune.errors import ClusterError


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.delenv("TMPDIR", raising=False)
    return monkeypatch


def test_short_folders_are_left_to_ray(unset: pytest.MonkeyPatch) -> None:
    assert temporary_folder() is None
    unset.setenv("TMPDIR", "/scratch/local/123456")
    assert temporary_folder() is None


def test_long_tmpdir_gives_way(unset: pytest.MonkeyPatch) -> None:
    unset.setenv("TMPDIR", "/scratch/local/slurm/jobs/of/somebody/123456/tmp")
    assert temporary_folder() == "/tmp/ray"
    unset.setenv("RAY_TMPDIR", "/scratch/123456")
    assert temporary_folder() is None


def test_long_folder_that_is_named_for_ray_is_refused(unset: pytest.MonkeyPatch) -> None:
    unset.setenv("RAY_TMPDIR", "/" + "x" * 39)
    with pytest.raises(ClusterError, match=r"RAY_TMPDIR: '/x+' has 40 bytes, .* name a folder of at most 3\d bytes"):
        temporary_folder()


def test_ray_itself_refuses_no_folder_that_is_let_through(unset: pytest.MonkeyPatch) -> None:
    """By its own rule, with the longest process number that Linux has."""
    from ray._private.utils import validate_socket_filepath

    unset.setenv("RAY_TMPDIR", "/" + "x" * 38)
    assert temporary_folder() is None
    session = "session_2026-11-26_23-59-59_999999_4194304"
    validate_socket_filepath(f"{os.environ['RAY_TMPDIR']}/ray/{session}/sockets/plasma_store")


def test_own_socket_and_those_elsewhere_are_no_problem(tmp_path: Path) -> None:
    own = tmp_path / "raylet"
    own.touch()
    assert others_user([own, tmp_path / "none"]) == ""
    assert others_user([tmp_path / "none"]) == ""
    assert others_user([]) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_socket_of_another_user_is_named(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "session"
    folder.mkdir()
    (folder / "raylet").touch(0o755)
    folder.chmod(mode)
    for above in (tmp_path, *list(tmp_path.parents)[:2]):
        above.chmod(above.stat().st_mode | 0o055)
    program = (
        "import os, sys; from pathlib import Path; from eig_tune.cluster.sockets import others_user; "
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); print(others_user([Path(sys.argv[1])]))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program, folder / "raylet"], capture_output=True, text=True, check=True
    ).stdout
    assert shown.startswith("its node on this machine belongs to user root, and user nobody may not use it; run")
