"""Names with shape suffixes, such as ``q_NK``, are explained at the top of each file that has them."""

import re
import tokenize
from pathlib import Path

import pytest

import eig_tune

ROOT = Path(eig_tune.__file__).parent
SUFFIX = re.compile(r"[a-z]\w*_([A-Z][A-Z]{0,4}|[A-Z]\d\d|n[A-Z]|KnCSS)")


def suffixes_of(file: Path) -> set[str]:
    """The suffixes of a file's names; what stands in its texts is not looked at."""
    with file.open("rb") as opened:
        names = [token.string for token in tokenize.tokenize(opened.readline) if token.type == tokenize.NAME]
    return {found.group(1) for name in names if (found := SUFFIX.fullmatch(name))}


SUFFIXES = {file: suffixes for file in sorted(ROOT.rglob("*.py")) if (suffixes := suffixes_of(file))}


@pytest.mark.parametrize("file", SUFFIXES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_file_has_a_legend_of_its_suffixes(file: Path) -> None:
    legend = file.read_text(encoding="utf-8").partition("Shape suffixes:")[2].partition('"""')[0]
    letters = set("".join(SUFFIXES[file])) & set("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    explained = set("".join(re.findall(r"\b[A-Z]\d*\b", legend)))
    assert letters <= explained, f"not explained: {sorted(letters - explained)}"


def test_suffixes_are_found() -> None:
    assert {"NCHW", "NK", "K", "N33", "KnCSS", "nD", "KC"} <= set().union(*SUFFIXES.values())
