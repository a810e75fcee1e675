"""How many trials run at once, on whatever nodes there are."""

import pytest

from eig_tune.cluster.resources import Resources
from eig_tune.errors import ClusterError

LAPTOP = {"CPU": 4.0, "memory": 1e9}
GPUS = {"CPU": 16.0, "GPU": 4.0, "accelerator_type:A100": 1.0}
FEW_CPUS = {"CPU": 2.0, "GPU": 4.0}


@pytest.mark.parametrize(
    ("given", "nodes", "slots"),
    [
        (Resources(0, 1, None), [LAPTOP], 4),
        (Resources(0, 1, None), [LAPTOP, GPUS], 20),
        (Resources(0, 1, 3), [LAPTOP, GPUS], 3),
        (Resources(0, 1, 30), [LAPTOP, GPUS], 20),  # what was there has left
        (Resources(None, 1, None), [LAPTOP, GPUS], 4),
        (Resources(None, 1, None), [LAPTOP, GPUS, GPUS], 8),
        (Resources(None, 3, None), [LAPTOP, GPUS], 12),
        (Resources(None, 8, None), [GPUS], 16),  # each takes a CPU
        (Resources(None, 1, None), [FEW_CPUS, GPUS], 6),
        (Resources(2, 3, None), [GPUS, GPUS], 6),
        (Resources(8, 1, None), [GPUS], 4),
        (Resources(None, 1, None), [LAPTOP], 0),
        (Resources(8, 2, None, autoscale=True), [LAPTOP], 16),  # they come when trials wait for them
        (Resources(0, 1, 32, autoscale=True), [LAPTOP], 32),
    ],
)
def test_slots_follow_the_nodes_up_to_what_was_asked_for(
    given: Resources, nodes: list[dict[str, float]], slots: int
) -> None:
    assert given.slots(nodes) == slots


def test_trial_on_a_shared_gpu_takes_its_share() -> None:
    assert Resources(None, 4, None).per_trial == {"cpu": 1, "gpu": 0.25} and Resources(None, 4, None).device == "cuda"
    assert Resources(0, 4, None).per_trial == {"cpu": 1} and Resources(0, 4, None).device == "cpu"


@pytest.mark.parametrize(("gpus", "cpus"), [(None, None), (0, None), (None, 4)])
def test_a_cluster_that_starts_nodes_has_to_know_for_how_many(gpus: int | None, cpus: int | None) -> None:
    with pytest.raises(ClusterError, match="--autoscale: say for how many"):
        Resources.of_cluster(gpus, 1, cpus, autoscale=True)


def test_what_is_asked_of_a_cluster_that_starts_nodes_need_not_be_there() -> None:
    assert Resources.of_cluster(8, 2, None, autoscale=True).slots([LAPTOP]) == 16
    assert Resources.of_cluster(0, 1, 32, autoscale=True).slots([LAPTOP]) == 32
