"""The table of methods is the design's."""

import pytest

from eig_tune.models import METHODS

ROWS = [
    ("uniform-infogan", "uniform", False, False),
    ("ground-truth-infogan", "ground-truth", False, False),
    ("ground-truth-infogan+trans", "ground-truth", True, False),
    ("gumbel-softmax", "learned", False, False),
    ("gumbel-softmax+trans", "learned", True, False),
    ("elastic-infogan", "learned", True, True),
    ("joint-vae", "uniform", False, False),
]


@pytest.mark.parametrize(("name", "prior", "transformation", "entropy"), ROWS)
def test_row_is_as_designed(name: str, prior: str, transformation: bool, entropy: bool) -> None:
    method = METHODS[name]
    assert (method.prior, method.transformation, method.entropy) == (prior, transformation, entropy)


def test_table_has_the_seven_systems_of_the_paper_and_no_other() -> None:
    assert list(METHODS) == [name for name, *_ in ROWS]
    assert {name for name, method in METHODS.items() if method.model == "joint-vae"} == {"joint-vae"}


def test_every_row_is_found_by_its_own_name_and_cites_its_paper() -> None:
    for name, method in METHODS.items():
        assert method.name == name
        assert "arXiv" in method.citation
