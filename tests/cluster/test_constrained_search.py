"""A real search with constraints: what is chosen, confirmed and shown goes by them, also after they have changed."""

import json
import subprocess
from pathlib import Path

import pytest
from searches import EIG_TUNE, NAME, log_of, start, trials_of, write_space

from eig_tune.tracking import local_uri, read_search

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
OPTIONS = ("--trials", "3", "--cpus", "2")


def searched(space: Path, home: Path, constraints: str) -> str:
    """Run or resume the search under these constraints; what it has printed since."""
    before = len(log_of(home)) if home.with_suffix(".log").exists() else 0
    text = space.read_text().partition("constraints:")[0]
    space.write_text(f"{text}constraints: {constraints}\n")
    assert start(space, home, *OPTIONS).wait(timeout=600) == 0, log_of(home)
    return log_of(home)[before:]


def best(home: Path) -> dict[str, object]:
    done = subprocess.run(
        [EIG_TUNE, "best", "--name", NAME, "--home", home, "--json"], capture_output=True, text=True, check=True
    )
    return {**json.loads(done.stdout), "stderr": done.stderr}


def test_search_is_chosen_from_by_its_constraints_and_by_other_ones_after_a_resume(tmp_path: Path) -> None:
    space, home = write_space(tmp_path, confirmed=1), tmp_path / "home"
    printed = searched(space, home, "{prior_entropy: '>= 0.1', classes_found: '>= 1'}")
    assert "constraints were" not in printed
    finished = [trial for trial in trials_of(home).values() if trial.status == "finished"]
    assert f"prior_entropy >= 0.1: met by {len(finished)} of {len(finished)} finished trials" in printed
    assert "Pareto front (of the trials that meet all constraints)" in printed
    chosen = best(home)
    assert chosen["missed"] == {} and "the only confirmed trial" in str(chosen["stderr"])

    printed = searched(space, home, "{nmi_real: '>= 0.99'}")
    assert (
        "constraints were prior_entropy >= 0.1, classes_found >= 1, are now nmi_real >= 0.99: the 3 trials" in printed
    )
    assert f"nmi_real >= 0.99: met by 0 of {len(finished)} finished trials" in printed
    chosen = best(home)
    assert chosen["constraints"] == {"nmi_real": ">= 0.99"}
    assert "does not meet the constraints" in str(chosen["stderr"]) or "none of them meets" in str(chosen["stderr"])
    found = read_search(local_uri(home), NAME)
    confirmed = {trial.number: trial.confirmed["nmi_real"] for trial in found.finished() if trial.confirmed}
    assert max(confirmed, key=lambda number: confirmed[number]) == chosen["trial"], "the nearest to the new bound"
    assert {trial.number for trial in trials_of(home).values()} == set(range(3)), "no trial is proposed again"
