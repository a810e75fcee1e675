"""Metrics that replace others of the same name in a run."""

from collections.abc import Mapping
from typing import Any


def replace_metrics(
    client: Any, run_id: str, metrics: Mapping[str, float], step: int, at: int, tags: Mapping[str, str]
) -> None:
    """Log metrics such that MLflow reads them back as the latest values, whatever the run had before.

    MLflow's latest value of a metric is that of the highest step, then of the latest time, and of two values of the
    same step and time the larger one. A value that differs is therefore logged after the present one.

    Args:
        client: MLflow's client.
        run_id: the run.
        metrics: value by name.
        step: where to log; that of the present value where it is higher.
        at: time in milliseconds; later than that of a present value of the same step.
        tags: set by the same request, so that none describes metrics that are not there.
    """
    from mlflow.entities import Metric, RunTag

    latest = client.get_run(run_id).data.metrics
    replaced = []
    for name, value in metrics.items():
        if latest.get(name) == value:
            continue
        logged = client.get_metric_history(run_id, name) if name in latest else []
        newest = max(((point.step, point.timestamp + 1) for point in logged), default=(step, at))
        new_step, new_at = max((step, at), newest)
        replaced.append(Metric(name, value, new_at, new_step))
    client.log_batch(run_id, replaced, tags=[RunTag(name, value) for name, value in tags.items()])
