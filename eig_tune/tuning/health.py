"""Signs at a report that a trial will come to nothing, seen from numbers that it has reported anyway."""

import math
from collections.abc import Mapping

# Nats. A model whose Q puts all images into one category has 0; ten even classes, told apart, have log 10 = 2.3.
_LEAST_INFORMATION = 0.05
_CERTAINLY_INFORMED = 0.3
# Nats. A prior with 97 % in one of ten categories has 0.2.
_LEAST_PRIOR_ENTROPY = 0.2
# A discriminator that is never in doubt has a loss of 0; one that cannot tell anything apart has 2·log 2 = 1.4.
_LEAST_DISCRIMINATOR_LOSS = 0.01


def not_a_number(metrics: Mapping[str, float]) -> str | None:
    """The first metric that is NaN or infinite."""
    return next((name for name, value in metrics.items() if not math.isfinite(value)), None)


def collapse(metrics: Mapping[str, float], most_information: float, share_of_budget: float) -> str | None:
    """What has collapsed, in words; None while all is well.

    Before the first rung a model may still be all of this without being lost; and a Q that tells nothing may be
    slow only, unless it told something once or has used up half of its budget.

    Args:
        most_information: the highest ``q_mutual_information`` that the trial has reported before.
        share_of_budget: steps done, over the full budget.
    """
    if metrics.get("discriminator_loss", math.inf) < _LEAST_DISCRIMINATOR_LOSS:
        return f"saturated discriminator: its loss is {metrics['discriminator_loss']:.4f}, G learns nothing from it"
    if metrics.get("prior_entropy", math.inf) < _LEAST_PRIOR_ENTROPY:
        return f"prior collapse: its entropy is {metrics['prior_entropy']:.3f} nats, nearly all in one category"
    hopeless = most_information > _CERTAINLY_INFORMED or share_of_budget >= 0.5
    if (
        hopeless
        and "discriminator_loss" in metrics
        and metrics.get("q_mutual_information", math.inf) < _LEAST_INFORMATION
    ):
        return f"category collapse: Q tells just {metrics['q_mutual_information']:.3f} nats about a real image"
    return None
