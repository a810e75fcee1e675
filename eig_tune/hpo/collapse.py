"""Signs at a report that a trial will come to nothing, seen from numbers that it has reported anyway.

How many nats a good model tells of an image depends on the data: ten even classes have log 10 = 2.3, two that are 95 %
and 5 % have 0.2. So no threshold is a number of nats: each is a share of what the number could be.
"""

import math
from collections.abc import Mapping

# Share of the entropy of Q's mean: a Q that is sure of every image tells all of it, a vague one nothing.
_LEAST_TOLD = 0.02
# Share of log K.
_CERTAINLY_INFORMED = 0.13
# Shares of log K. Below the first a prior may be collapsed or be that of very uneven classes, and Q tells which; below
# the second (ten categories: 99.6 % in one) there is one category, since a batch has hardly ever an image of another.
_NEARLY_ONE_CATEGORY = 0.09
_ONE_CATEGORY = 0.01
# What is more than any good model of very uneven classes differs from its prior, and less than it tells of it.
_MOST_ELSEWHERE = 0.3
_LEAST_TOLD_OF_PRIOR = 0.2
# A discriminator that is never in doubt has a loss of 0; one that cannot tell anything apart has 2·log 2 = 1.4.
_LEAST_DISCRIMINATOR_LOSS = 0.01


def not_a_number(metrics: Mapping[str, float]) -> str | None:
    """The first metric that is NaN or infinite."""
    return next((name for name, value in metrics.items() if not math.isfinite(value)), None)


def sign_of_collapse(
    metrics: Mapping[str, float],
    categories: int,
    most_information: float,
    share_of_budget: float,
    *,
    learns_prior: bool,
) -> str | None:
    """What has collapsed, in words; None while all is well.

    Before the first rung a model may still be all of this without being lost; and a Q that tells nothing may be
    slow only, unless it told something once or has used up half of its budget.

    Args:
        categories: how many the model has.
        most_information: the highest ``q_mutual_information`` that the trial has reported before.
        share_of_budget: steps done, over the full budget.
        learns_prior: whether training moves the prior; one that is given cannot collapse.
    """
    if metrics.get("discriminator_loss", math.inf) < _LEAST_DISCRIMINATOR_LOSS:
        return f"saturated discriminator: its loss is {metrics['discriminator_loss']:.4f}, G learns nothing from it"
    if learns_prior and (why := _prior_collapse(metrics, math.log(categories))) is not None:
        return why
    unpromotable = most_information > _CERTAINLY_INFORMED * math.log(categories) or share_of_budget >= 0.5
    # JointVAE, which has no discriminator, tells more and more as its capacity grows.
    return (
        _category_collapse(metrics, math.log(categories)) if unpromotable and "discriminator_loss" in metrics else None
    )


def _category_collapse(metrics: Mapping[str, float], most: float) -> str | None:
    """Q sees all images in one category, or each a little in all."""
    told = metrics.get("q_mutual_information", math.inf)
    of_mean = told + metrics.get("q_entropy", 0.0)
    if of_mean < _ONE_CATEGORY * most:
        return f"category collapse: Q tells just {told:.3f} nats about a real image, it puts nearly all in one category"
    if told < _LEAST_TOLD * of_mean:
        return f"category collapse: Q tells just {told:.3f} nats about a real image, it sees each in many categories"
    return None


def _prior_collapse(metrics: Mapping[str, float], most: float) -> str | None:
    """Nearly all of the prior in one category, and not because nearly all images are of one class: then Q would agree
    with the prior, and tell the few others."""
    entropy = metrics.get("prior_entropy", math.inf)
    if entropy >= _NEARLY_ONE_CATEGORY * most:
        return None
    of_prior = f"prior collapse: its entropy is {entropy:.3f} of at most {most:.3f} nats, nearly all in one category"
    if entropy < _ONE_CATEGORY * most:
        return of_prior
    if (elsewhere := metrics.get("prior_posterior_gap", 0.0)) > _MOST_ELSEWHERE:
        return f"{of_prior}, but Q puts {elsewhere:.0%} of the real images elsewhere"
    if (told := metrics.get("q_mutual_information", math.inf)) < _LEAST_TOLD_OF_PRIOR * entropy:
        return f"{of_prior}, and Q tells just {told:.3f} nats about a real image"
    return None
