"""Metrics that replace others of the same name in a run."""

from collections.abc import Mapping
from typing import Any


def correct(
    client: Any, run_id: str, metrics: Mapping[str, float], step: int, at: int, tags: Mapping[str, str]
) -> None:
    """Log metrics such that they are what MLflow reads back as the latest values, whatever the run has had before.

    MLflow's latest value of a metric is that of the highest step, then of the latest time, and of two values of the
    same step and time the larger one. A value that differs is therefore logged behind the one that is there.

    Args:
        step, at: where to log, time in milliseconds; later where something of the same name lies there or behind.
        tags: set by the same request, so that none speaks of metrics that are not there.
    """
    from mlflow.entities import Metric, RunTag

    latest = client.get_run(run_id).data.metrics
    corrected = []
    for name, value in metrics.items():
        if latest.get(name) == value:
            continue
        logged = client.get_metric_history(run_id, name) if name in latest else []
        newest = max(((point.step, point.timestamp + 1) for point in logged), default=(step, at))
        new_step, new_at = max((step, at), newest)
        corrected.append(Metric(name, value, new_at, new_step))
    client.log_batch(run_id, corrected, tags=[RunTag(name, value) for name, value in tags.items()])
