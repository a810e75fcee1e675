"""What the checks find wrong with described nodes; test_doctor.py has a real cluster."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from eig_tune.cluster import doctor, node_probe
from eig_tune.cluster.doctor import Check, document, fit
from eig_tune.cluster.nodes import LIBRARIES, Node
from eig_tune.terminal.plan import print_checks

HERE = node_probe.versions(LIBRARIES)


def node(number: int, **other: Any) -> Node:
    """A node in order, but for the ``other`` parts of its description."""
    whole: Mapping[str, Any] = {"versions": HERE, "token": True, "gpu_gib": [24.0, 24.0], "storage": ""}
    return Node(f"id{number}", f"10.0.0.{number}", 8, 2, {**whole, **other}, "")


UNKNOWN = Node("id9", "10.0.0.9", 8, 2, {}, "has not answered within 60 s")


@pytest.mark.parametrize("nodes", [[node(1)], [node(1), node(2)]])
def test_nothing_is_wrong_with_nodes_in_order(nodes: list[Node]) -> None:
    checks = [
        doctor._check_nodes(nodes),
        doctor._check_gpus(nodes),
        doctor._check_versions(nodes),
        doctor._check_token(nodes),
    ]
    assert fit(checks)
    assert checks[1].found == f"{2 * len(nodes)} × 24 GiB"


def test_node_without_an_answer_is_named_and_no_other_check_needs_its_description() -> None:
    nodes = [node(1), UNKNOWN]
    assert "10.0.0.9 has not answered within 60 s; look into" in doctor._check_nodes(nodes).problem
    for check in (doctor._check_gpus, doctor._check_versions, doctor._check_token):
        assert check(nodes).problem == ""


def test_missing_and_other_versions_are_named_but_not_for_all_of_500_nodes() -> None:
    other = {**HERE, "torch": "0.4", "eig-tune": None}
    problem = doctor._check_versions([node(1), node(2, versions=other)]).problem
    assert f"10.0.0.2 has torch 0.4, this machine {HERE['torch']}" in problem
    assert f"10.0.0.2 has eig-tune not installed, this machine {HERE['eig-tune']}" in problem
    problem = doctor._check_versions([node(number, versions=other) for number in range(500)]).problem
    assert "and 996 more" in problem and len(problem) < 500


def test_gpus_that_torch_does_not_see_are_a_warning() -> None:
    check = doctor._check_gpus([node(1), node(2, gpu_gib=[24.0]), node(3, gpu_gib=[])])
    two, three = "10.0.0.2 has 2 GPUs for Ray, of which", "10.0.0.3 has 2 GPUs for Ray, of which"
    assert f"{two} PyTorch sees 1, {three} PyTorch sees none; start Ray there" in check.problem
    assert not check.grave


def test_hosts_without_a_token_are_a_warning_unless_it_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    open_nodes = [node(1, token=False), node(2, token=False)]
    check = doctor._check_token(open_nodes)
    assert "ray get-auth-token --generate" in check.problem and not check.grave
    assert doctor._check_token(open_nodes[:1]).problem == ""
    same_host = [open_nodes[0], replace(open_nodes[1], host=open_nodes[0].host)]
    assert doctor._check_token(same_host).problem == ""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert doctor._check_token(open_nodes).problem == ""


def test_every_problem_is_one_line_however_narrow_the_terminal() -> None:
    problem = f"this is {'very ' * 60}wrong; mend it"
    checks = [Check("first", "[all] is well"), Check("second", "nothing", problem, grave=False)]
    console = Console(width=60, record=True)
    print_checks(checks, console)
    printed = console.export_text()
    assert f"second: a search would only warn: {problem}" in printed.splitlines()
    assert "[all] is well" in printed
    assert document(checks)["fit"] is False
