"""What the documentation names is there: links, files, folders and names of the code."""

import re
from pathlib import Path

import pytest

import eig_tune

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docker/README.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
PLACES = [
    ROOT / name for name in (".", "eig_tune", "eig_tune/evaluation", "tests", "tests/evaluation", "search_spaces")
]


def anchor(heading: str) -> str:
    """What GitHub makes of a heading, for links to it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        file, _, section = target.partition("#")
        linked = page.parent / file if file else page
        assert linked.exists(), target
        if section:
            assert section in {anchor(line.lstrip("# ")) for line in linked.read_text().splitlines()}, target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_that_are_named_exist(page: Path) -> None:
    named = set(re.findall(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|yaml|sh|toml|md))`", page.read_text()))
    named = {name for name in named if "NAME" not in name}  # NAME stands for one of the reader's own
    assert not [name for name in sorted(named) if not any((place / name).exists() for place in [page.parent, *PLACES])]


def test_the_page_on_architecture_names_every_room_once_and_in_the_order_of_the_import_rule() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    rooms = re.findall(r"^    ([a-z]+) {2,}\S", page, re.MULTILINE)
    folders = {path.parent.name for path in Path(eig_tune.__file__).parent.glob("*/__init__.py")}
    assert sorted(rooms) == sorted(folders)
    rule = (ROOT / "tests" / "test_import_rule.py").read_text()
    assert [rule.index(f'"{room}"') for room in rooms] == sorted(rule.index(f'"{room}"') for room in rooms)


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_names_of_the_code_exist(page: str) -> None:
    """Words in code style with capitals or dots, which are not files, stand somewhere in the code."""
    code = "\n".join(file.read_text() for file in (ROOT / "eig_tune").rglob("*.py"))
    words = re.findall(r"`([A-Za-z_][\w.]*)`", (ROOT / page).read_text())
    names = {word.rpartition(".")[2] for word in words if not word.endswith((".py", ".md", ".toml", ".yaml"))}
    tests = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("test_m*.py"))
    assert not [name for name in sorted(names) if not re.search(rf"\b{name}\b", code + tests)]
