"""Every dataset section on the page about images is one that a space may have."""

import re
from pathlib import Path

import pytest
import yaml

from eig_tune.config.space import load_spec
from eig_tune.data.sources import SOURCES

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
SECTIONS = re.findall(r"^    dataset:\n(?:      .*\n)+", PAGE.read_text(), re.MULTILINE)


def test_there_are_sections_to_load() -> None:
    assert len(SECTIONS) >= 7


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.split("name: ")[1].split()[0])
def test_section_is_loaded(section: str, tmp_path: Path) -> None:
    space = {**yaml.safe_load(section), "search": {"tau": {"loguniform": [0.05, 1]}}}
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(space))
    spec = load_spec(tmp_path / "space.yaml")
    assert spec.dataset.name in SOURCES


def test_every_data_set_is_on_the_page() -> None:
    text = PAGE.read_text()
    assert [name for name in SOURCES if f"`{name}`" not in text and f"name: {name}\n" not in text] == ["arrays"]
