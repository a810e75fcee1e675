"""Of which commit a search says it is: that of eig-tune's code, not of the folder in which the command runs."""

import subprocess
from pathlib import Path

import pytest

from eig_tune.reports.provenance import COMMIT_VARIABLE, git_commit


@pytest.fixture(autouse=True)
def no_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(COMMIT_VARIABLE, raising=False)


def git(folder: Path, *command: str) -> str:
    identity = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    done = subprocess.run(["git", "-C", folder, *identity, *command], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit of a package, whose folder this is."""
    package = tmp_path / "repository" / "package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    git(package, "init", "--quiet")
    git(package, "add", ".")
    git(package, "commit", "--quiet", "--message", "first")
    return package


def test_of_a_checkout_it_is_that_of_the_code(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path("/"))
    commit = git_commit(repository)
    assert commit == git(repository, "rev-parse", "HEAD")
    (repository / "__init__.py").write_text("changed = True\n")
    assert git_commit(repository) == f"{commit}-dirty"


def test_installed_inside_of_another_repository_it_is_unknown(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = repository / ".venv" / "eig_tune"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    monkeypatch.chdir(repository)
    assert git_commit(installed) == "unknown"


def test_without_a_repository_or_git_it_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "__init__.py").write_text("")
    assert git_commit(tmp_path) == "unknown"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit() == "unknown"


def test_of_an_image_it_is_that_of_its_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COMMIT_VARIABLE, "0123abc")
    assert git_commit() == "0123abc"
