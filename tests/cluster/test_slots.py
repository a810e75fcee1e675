"""How many trials run at once, node by node, what limits them, and what is idle and why."""

import pytest

from eig_tune.cluster.resources import Resources
from eig_tune.cluster.slots import ResourcesOfNode, explain

GIB = 2**30


def node(host: str, cpus: float, gpus: float = 0, gib: float = 64) -> ResourcesOfNode:
    return ResourcesOfNode(host, {"CPU": cpus, "memory": gib * GIB, **({"GPU": gpus} if gpus else {})})


EIGHT_AND_TWO = node("m1", 2, 8)


@pytest.mark.parametrize(
    ("given", "nodes", "said"),
    [
        (Resources(0, 1, None), [node("m1", 2)], "2: 2 on m1 (2 CPUs, one a trial)"),
        (Resources(0, 1, None), [node("m1", 2), node("m2", 2)], "4: 2 on each of 2 nodes (2 CPUs, one a trial)"),
        (Resources(0, 1, 3), [node("m1", 4)], "3 by --cpus 3, of 4 on m1 (4 CPUs, one a trial)"),
        (Resources(None, 1, None), [node("m1", 16, 8)], "8: 8 on m1 (8 GPUs, one a trial)"),
        (Resources(None, 2, None), [node("m1", 16, 4)], "8: 8 on m1 (4 GPUs, 2 trials on each)"),
        (Resources(2, 1, None), [node("m1", 16, 8)], "2 by --gpus 2, of 8 on m1 (8 GPUs, one a trial)"),
        (
            Resources(None, 1, None),
            [node("m1", 16, 1), node("m2", 4), node("m3", 8, 2)],
            "3: 1 on m1 (1 GPU, one a trial), 0 on m2 (no GPU), 2 on m3 (2 GPUs, one a trial)",
        ),
        (Resources(None, 1, None), [node("m1", 1, 8)], "4: 4 on m1 (8 GPUs, 1 CPU, 0.25 a trial)"),
        (Resources(None, 1, None), [node("m1", 4)], "none: 0 on m1 (no GPU)"),
        (
            Resources(8, 1, None, autoscale=True),
            [node("m1", 0), node("m2", 4, 1)],
            "up to 8 by --gpus 8, on nodes that the cluster starts for them; now 1",
        ),
    ],
)
def test_one_line_says_how_many_where_and_why(given: Resources, nodes: list[ResourcesOfNode], said: str) -> None:
    assert str(explain(given, nodes, 0)) == said


def test_many_different_nodes_are_still_a_line() -> None:
    said = str(explain(Resources(0, 1, None), [node(f"m{n}", n) for n in range(1, 101)], 0))
    assert said.startswith("5050: 1 on m1 (1 CPU, one a trial), ") and said.endswith(" and 96 more") and len(said) < 200


def test_memory_limits_where_it_is_less_than_trials_want() -> None:
    given, big = Resources(0, 1, None), node("m2", 4)
    explained = explain(given, [node("m1", 4, gib=5), big], 2 * GIB)
    assert str(explained) == "6: 2 on m1 (5.0 GiB of memory, about 2.0 GiB a trial), 4 on m2 (4 CPUs, one a trial)"
    assert explained.given.per_trial == {"cpu": 1, "memory": 2 * GIB}
    (problem,) = explained.problems()
    assert problem.startswith("m1: 2 of 4 CPUs idle for want of memory (5.0 GiB of memory, about 2.0 GiB a trial); ")
    gpus = explain(Resources(None, 1, None), [node("m1", 16, 4, gib=5)], 2 * GIB)
    (problem,) = gpus.problems()
    assert problem.startswith("m1: 2 of 4 GPUs idle for want of memory (5.0 GiB of memory, ")


def test_trial_that_no_node_has_memory_for_takes_all_of_the_largest() -> None:
    """It may be enough, and a search that waits for ever says less than one that runs out of memory."""
    explained = explain(Resources(0, 1, None), [node("m1", 4, gib=1), node("m2", 4, gib=3)], 5 * GIB)
    assert explained.given.memory == 3 * GIB
    assert str(explained).startswith("1: 0 on m1 (1.0 GiB of memory, ")


def test_gpus_share_what_cpus_there_are() -> None:
    explained = explain(Resources(None, 1, None), [EIGHT_AND_TWO], 0)
    assert str(explained) == "8: 8 on m1 (8 GPUs, one a trial)"
    assert explained.given.per_trial == {"cpu": 0.25, "gpu": 1}
    (problem,) = explained.problems()
    assert problem == (
        "m1: 8 trials on 8 GPUs share 2 CPUs, and the GPUs idle while their trials wait for one; start Ray there with "
        "more CPUs (`ray start --num-cpus`; EIG_WORKER_CPUS in docker/.env; `sbatch --cpus-per-task`)"
    )


@pytest.mark.parametrize(
    ("per_gpu", "nodes", "share"),
    [
        (1, [node("m1", 8, 8)], 1.0),
        (1, [node("m1", 6, 8)], 0.75),
        (1, [node("m1", 7, 9)], 0.7777),  # in Ray's parts, rounded down
        (2, [node("m1", 8, 8)], 0.5),
        (1, [node("m1", 64, 8), node("m2", 4, 8)], 0.5),  # every trial takes the same
        (1, [node("m1", 64, 8), node("m2", 2)], 1.0),  # a node without GPUs has no trial
        (1, [node("m1", 64, 8), node("m2", 0, 8)], 1.0),  # one without CPUs, neither
        (16, [node("m1", 8, 8)], 0.25),  # no less than this
    ],
)
def test_cpu_share_fills_the_gpus_of_every_node(per_gpu: int, nodes: list[ResourcesOfNode], share: float) -> None:
    assert explain(Resources(None, per_gpu, None), nodes, 0).given.cpu_share == share


def test_few_gpus_of_a_node_need_no_shared_cpus() -> None:
    explained = explain(Resources(2, 1, None), [EIGHT_AND_TWO], 0)
    assert explained.given.cpu_share == 1.0
    assert str(explained) == "2: 2 on m1 (8 GPUs, 2 CPUs, one a trial)"
    assert explained.problems() == []


def test_gpus_without_a_trial_are_named_with_their_reason_and_remedy() -> None:
    explained = explain(Resources(None, 1, None), [node("m1", 1, 8), node("m2", 8, 8)], 0)
    idle = [problem for problem in explained.problems() if "idle for want" in problem]
    assert len(idle) == 1 and idle[0].startswith(
        "m1: 4 of 8 GPUs idle for want of CPUs (8 GPUs, 1 CPU, 0.25 a trial); start Ray there with more CPUs"
    )
    several = explain(Resources(None, 4, None), [EIGHT_AND_TWO], 0)  # Ray fills one GPU after the other
    (idle_gpus,) = [problem for problem in several.problems() if "idle for want" in problem]
    assert idle_gpus.startswith("m1: 6 of 8 GPUs idle for want of CPUs ")
    assert idle_gpus.endswith(", or give a smaller --trials-per-gpu")


def test_what_was_not_asked_for_is_not_idle() -> None:
    assert explain(Resources(1, 1, None), [EIGHT_AND_TWO], 0).problems() == []
    assert explain(Resources(0, 1, 1), [node("m1", 4, gib=3)], 2 * GIB).problems() == []
    assert explain(Resources(0, 1, None), [EIGHT_AND_TWO], 0).problems() == []
