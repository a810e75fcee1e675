"""InfoGAN's training step, against the same step written out, and what it moves and leaves alone."""

import math
from collections.abc import Sequence

import pytest
import torch
from infogan_reference import (
    SETTINGS,
    SIZE,
    TRUE_SHARES,
    Weights,
    images,
    make,
    naive_step,
    seeded,
    setup,
    weights_of,
)
from torch import Tensor, nn

from eig_tune.models import METHODS
from eig_tune.models.infogan import InfoGan

INFOGAN_METHODS = [
    "uniform-infogan",
    "ground-truth-infogan",
    "ground-truth-infogan+trans",
    "gumbel-softmax",
    "gumbel-softmax+trans",
    "elastic-infogan",
]


def moved(before: Sequence[Tensor], after: Sequence[Tensor]) -> bool:
    return any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


# A bias before batch norm has no gradient but rounding, which Adam blows up; it has no effect either.
_WITHOUT_EFFECT = {"generator": {1, 5, 9}, "front_end": {3, 7}, "category_head": {1}}


def assert_same_step(before: Weights, after: Weights, expected: Weights) -> None:
    """The moves agree to a thousandth of their length, for every tensor."""
    for name, weights in expected.items():
        for index, wanted in enumerate(weights):
            if index in _WITHOUT_EFFECT.get(name, ()):
                continue
            start = before[name][index].double()
            difference = (after[name][index].double() - wanted).norm()
            assert difference <= 2e-3 * (wanted - start).norm(), f"{name}, parameter {index}"


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("uniform-infogan", {}),
        ("ground-truth-infogan+trans", {}),
        ("gumbel-softmax", {}),
        ("elastic-infogan", {}),
        ("elastic-infogan", {"distance": "js"}),
        ("uniform-infogan", {"category_loss_trains_front_end": True}),
        ("elastic-infogan", {"category_loss_trains_front_end": True}),
        ("gumbel-softmax", {"code_target": "hard"}),
        ("elastic-infogan", {"prior_entropy_in_information": False}),
        ("elastic-infogan", {"straight_through": True}),
        ("elastic-infogan", {"shared_batch_statistics": True}),
        ("elastic-infogan", {"prior_update": "posterior"}),
        ("gumbel-softmax", {"prior_update": "posterior"}),
        ("elastic-infogan", {"r1_gamma": 5.0}),
        ("uniform-infogan", {"r1_gamma": 5.0, "gan_loss": "hinge", "category_loss_trains_front_end": True}),
    ],
)
def test_step_equals_the_step_written_out(method: str, changes: dict[str, object]) -> None:
    model = make(method, SETTINGS.model_copy(update=changes))
    generator = seeded(1)
    for seed in range(3):  # so that Adam's moments make the sizes of gradients matter, not their signs alone
        model.train_step(*images(seed), generator)
    before, expected = weights_of(model), naive_step(model, seed=2)
    model.train_step(*images(), seeded(2))
    assert_same_step(before, weights_of(model), expected)


def front_end_after_a_step(method: str, **changes: object) -> list[Tensor]:
    model = make(method, SETTINGS.model_copy(update=changes))
    model.train_step(*images(), seeded(1))
    return weights_of(model)["front_end"]


def test_losses_of_g_and_q_leave_the_front_end_alone() -> None:
    """D's step cannot depend on the λs, so a front end that does was moved by the other step."""
    without = front_end_after_a_step("elastic-infogan", lambda_1=0.0, lambda_2=0.0, lambda_3=0.0)
    assert not moved(without, front_end_after_a_step("elastic-infogan", lambda_1=9.0, lambda_2=9.0, lambda_3=9.0))


@pytest.mark.parametrize("weight", ["lambda_1", "lambda_2", "lambda_3"])
def test_each_loss_of_q_trains_the_front_end_when_switched_on(weight: str) -> None:
    changes = {"lambda_1": 0.0, "lambda_2": 0.0, "lambda_3": 0.0, "category_loss_trains_front_end": True}
    without = front_end_after_a_step("elastic-infogan", **changes)
    assert moved(without, front_end_after_a_step("elastic-infogan", **{**changes, weight: 1.0}))


def test_adversarial_loss_of_g_never_trains_the_front_end() -> None:
    """The switch is about Q's losses; a front end trained to let G fool D would work against D."""
    changes = {"lambda_1": 0.0, "lambda_2": 0.0, "lambda_3": 0.0, "generator_lr": 1e-3, "discriminator_lr": 1e-3}
    off = front_end_after_a_step("uniform-infogan", **changes)
    on = front_end_after_a_step("uniform-infogan", **changes, category_loss_trains_front_end=True)
    assert not moved(off, on)


@pytest.mark.parametrize("switch", [False, True])
@pytest.mark.parametrize("method", INFOGAN_METHODS)
def test_every_method_runs_and_moves_what_it_trains(method: str, switch: bool) -> None:
    model = make(method, SETTINGS.model_copy(update={"category_loss_trains_front_end": switch}))
    before = weights_of(model)
    losses = model.train_step(*images(), seeded(1))
    after = weights_of(model)
    assert all(math.isfinite(loss) and not loss.requires_grad for loss in losses.values())
    for name in ("generator", "front_end", "discriminator", "category_head"):
        assert moved(before[name], after[name]), name


@pytest.mark.parametrize("method", INFOGAN_METHODS)
def test_losses_reported_are_those_of_the_row(method: str) -> None:
    row = METHODS[method]
    losses = make(method).train_step(*images(), seeded(1))
    assert ("transformation" in losses) == row.transformation
    assert ("entropy" in losses) == row.entropy
    assert {"discriminator_loss", "generator_loss", "mutual_information"} <= set(losses)


@pytest.mark.parametrize("method", INFOGAN_METHODS)
def test_learned_prior_moves_and_fixed_one_does_not(method: str) -> None:
    model = make(method)
    before = model.prior_probabilities()
    for seed in range(3):
        model.train_step(*images(seed), seeded(seed))
    assert torch.equal(before, model.prior_probabilities()) == (METHODS[method].prior != "learned")
    assert model.prior_probabilities().sum().item() == pytest.approx(1)


def test_prior_moves_at_its_own_rate() -> None:
    """Adam's first step is one rate long in every logit."""
    model = make(settings=SETTINGS.model_copy(update={"prior_lr": 0.25}))
    model.train_step(*images(), seeded(1))
    (logits,) = weights_of(model)["prior"]
    torch.testing.assert_close(logits.abs(), torch.full((5,), 0.25), rtol=1e-3, atol=0)


@pytest.mark.parametrize("method", ["ground-truth-infogan", "uniform-infogan", "elastic-infogan"])
def test_prior_at_first_is_the_one_of_the_row(method: str) -> None:
    true = method == "ground-truth-infogan"
    torch.testing.assert_close(
        make(method).prior_probabilities(), TRUE_SHARES.float() if true else torch.full((5,), 0.2)
    )


@pytest.mark.parametrize("shares", [None, torch.full((7,), 1 / 7)])
def test_ground_truth_needs_the_share_of_every_category(shares: Tensor | None) -> None:
    with pytest.raises(Exception, match=r"ground-truth-infogan needs the share of each of its 5"):
        InfoGan(setup("ground-truth-infogan", shares=shares))


@pytest.mark.parametrize("distance", ["l2", "cosine", "js", "nt_xent"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_distance_runs_in_every_precision(distance: str, precision: str) -> None:
    model = make(settings=SETTINGS.model_copy(update={"distance": distance, "precision": precision}))
    losses = model.train_step(*images(), seeded(1))
    assert all(math.isfinite(loss) for loss in losses.values())
    assert {w.dtype for ws in weights_of(model).values() for w in ws} == {torch.float32}


def test_bf16_losses_are_close_to_those_of_fp32() -> None:
    exact, rough = (
        make(settings=SETTINGS.model_copy(update={"precision": precision})).train_step(*images(), seeded(1))
        for precision in ("fp32", "bf16")
    )
    for name, loss in exact.items():
        assert rough[name].item() == pytest.approx(loss.item(), rel=0.05, abs=0.02), name


def test_same_seeds_make_the_same_model_and_the_same_step() -> None:
    first, second, other = make(), make(), make(seed=1)
    for model in (first, second):
        model.train_step(*images(), seeded(1))
    for name, weights in weights_of(first).items():
        assert not moved(weights, weights_of(second)[name])
    assert moved(weights_of(other)["generator"], weights_of(make())["generator"])


def test_step_takes_its_random_numbers_from_the_generator_alone() -> None:
    model = make()
    before = torch.get_rng_state()
    model.train_step(*images(), seeded(1))
    assert torch.equal(torch.get_rng_state(), before)


def test_every_weight_is_free_again_after_a_step() -> None:
    model = make()
    model.train_step(*images(), seeded(1))
    assert all(p.requires_grad for module in model.modules().values() for p in module.parameters())


def test_evaluation_does_not_move_the_model() -> None:
    model = make()
    model.train_step(*images(), seeded(1))
    before = {f"{name}.{key}": value.clone() for name, key, value in state_of(model)}
    generated = model.generate(torch.arange(5), torch.randn(5, 6, generator=seeded()))
    logits = model.category_logits(generated)
    assert (generated.shape, logits.shape) == ((5, 1, SIZE, SIZE), (5, 5))
    assert not generated.requires_grad
    assert not logits.requires_grad
    assert all(torch.equal(before[f"{name}.{key}"], value) for name, key, value in state_of(model))


def test_evaluation_of_an_image_does_not_depend_on_the_batch_it_is_in() -> None:
    model = make()
    model.train_step(*images(), seeded(1))
    real, _ = images()
    torch.testing.assert_close(model.category_logits(real)[:1], model.category_logits(real[:1]))


def state_of(model: InfoGan) -> list[tuple[str, str, Tensor]]:
    modules: dict[str, nn.Module] = model.modules()
    return [(name, key, value) for name, module in modules.items() for key, value in module.state_dict().items()]
