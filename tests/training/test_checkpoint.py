"""Checkpoints: whole, of the same run, and without pickle."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from eig_tune.data import DatasetConfig, load_images
from eig_tune.errors import CheckpointError
from eig_tune.training import TrainConfig
from eig_tune.training.checkpoint import RUN_FILE, TENSORS_FILE, collect, distribute, read_run, read_tensors
from eig_tune.training.loop import Run, TrialData, fit

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def written(tiny_config: TrainConfig, trial_data: TrialData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of step 2."""
    directory = tmp_path_factory.mktemp("checkpoint")
    next(fit(tiny_config, trial_data, device=CPU)).save(directory)
    return directory


@pytest.fixture
def checkpoint(written: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    for file in written.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def resume(directory: Path, config: TrainConfig, data: TrialData) -> int:
    """The step of the first report after the checkpoint."""
    return next(fit(config, data, resume=directory, device=CPU)).step


def test_checkpoint_says_its_config_and_step(written: Path, tiny_config: TrainConfig) -> None:
    record = read_run(written)
    assert (record.config, record.step) == (tiny_config, 2)
    assert (record.image_size, record.channels, record.classes) == (16, 1, tuple("0123456789"))
    assert json.loads((written / RUN_FILE).read_text())["step"] == 2


def test_checkpoint_holds_no_pickle(written: Path) -> None:
    """Neither pickle's protocol byte nor the zip archives that torch.save and numpy.savez write."""
    assert {TENSORS_FILE, RUN_FILE} <= {file.name for file in written.iterdir()}
    for file in written.iterdir():
        assert file.suffix in {".safetensors", ".json", ".png"}, file.name
        assert file.read_bytes()[:1] != b"\x80"
        assert file.read_bytes()[:2] != b"PK"


def test_checkpoint_holds_weights_moments_and_random_state(written: Path) -> None:
    names = set(read_tensors(written))
    assert "random_state" in names
    for module in ("generator", "front_end", "discriminator", "category_head", "prior"):
        assert any(name.startswith(f"{module}.") for name in names), module
    for optimizer in ("generator", "discriminator"):
        for key in ("step", "exp_avg", "exp_avg_sq"):
            assert f"optimizer.{optimizer}.0.{key}" in names


def test_what_is_collected_can_be_distributed(tiny_config: TrainConfig, trial_data: TrialData) -> None:
    first, second = Run(tiny_config, trial_data, CPU), Run(tiny_config, trial_data, CPU)
    first.advance(3)
    tensors = {name: value.clone() for name, value in collect(*moving_parts(first)).items()}
    distribute(tensors, *moving_parts(second))
    again = collect(*moving_parts(second))
    assert again.keys() == tensors.keys()
    assert all(torch.equal(again[name], value) for name, value in tensors.items())


def moving_parts(run: Run) -> tuple[dict[str, torch.nn.Module], dict[str, torch.optim.Optimizer]]:
    return run.model.modules(), run.model.optimizers()


def test_whole_checkpoint_is_gone_on_from(written: Path, tiny_config: TrainConfig, trial_data: TrialData) -> None:
    assert resume(written, tiny_config, trial_data) == 4


@pytest.mark.parametrize("file", [TENSORS_FILE, RUN_FILE])
@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        lambda path: path.write_bytes(b"\xff" * 100),
        lambda path: path.write_text("[1, 2]"),
    ],
    ids=["missing", "empty", "cut", "noise", "other"],
)
def test_damaged_checkpoint_is_named(
    checkpoint: Path, tiny_config: TrainConfig, trial_data: TrialData, file: str, damage: Callable[[Path], object]
) -> None:
    damage(checkpoint / file)
    with pytest.raises(CheckpointError, match=str(checkpoint)):
        resume(checkpoint, tiny_config, trial_data)


def test_missing_directory_is_named(tmp_path: Path, tiny_config: TrainConfig, trial_data: TrialData) -> None:
    with pytest.raises(CheckpointError, match="absent"):
        resume(tmp_path / "absent", tiny_config, trial_data)


@pytest.mark.parametrize(
    "change", [{"lambda_1": 0.5}, {"width": 8}, {"rotation": 1.0}, {"seed": 1}, {"method": "gumbel-softmax"}]
)
def test_checkpoint_of_another_config_is_refused(
    written: Path, tiny_config: TrainConfig, trial_data: TrialData, change: dict[str, object]
) -> None:
    with pytest.raises(CheckpointError, match="another configuration"):
        resume(written, tiny_config.with_params(change), trial_data)


@pytest.mark.parametrize(("size", "channels"), [(32, 1), (16, 3)])
def test_checkpoint_of_other_images_is_refused(
    written: Path, tiny_config: TrainConfig, size: int, channels: Literal[1, 3]
) -> None:
    other = load_images(DatasetConfig(name="digits", image_size=size, channels=channels))
    with pytest.raises(CheckpointError):
        resume(written, tiny_config, TrialData(other, None))


def test_budget_may_be_raised(written: Path, tiny_config: TrainConfig, trial_data: TrialData) -> None:
    assert resume(written, tiny_config.with_params({"steps": 50}), trial_data) == 4


def rewrite(directory: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(directory / TENSORS_FILE)
    change(tensors)
    save_file(tensors, directory / TENSORS_FILE)


@pytest.mark.parametrize(
    "name",
    [
        "generator.fully_connected.0.weight",
        "prior.logits",
        "optimizer.generator.0.exp_avg",
        "optimizer.discriminator.3.step",
        "random_state",
    ],
)
@pytest.mark.parametrize("fault", ["missing", "of another shape"])
def test_tensor_that_is_missing_or_of_another_shape_is_an_error(
    checkpoint: Path, tiny_config: TrainConfig, trial_data: TrialData, name: str, fault: str
) -> None:
    def spoil(tensors: dict[str, Tensor]) -> None:
        whole = tensors.pop(name)
        if fault == "of another shape":
            tensors[name] = torch.zeros(3, 5, 7, dtype=whole.dtype)

    rewrite(checkpoint, spoil)
    with pytest.raises(CheckpointError):
        resume(checkpoint, tiny_config, trial_data)


def test_checkpoint_without_moments_is_an_error(
    checkpoint: Path, tiny_config: TrainConfig, trial_data: TrialData
) -> None:
    """Adam would begin anew and the run would silently become another one."""

    def forget(tensors: dict[str, Tensor]) -> None:
        for name in [name for name in tensors if name.startswith("optimizer.")]:
            del tensors[name]

    rewrite(checkpoint, forget)
    with pytest.raises(CheckpointError):
        resume(checkpoint, tiny_config, trial_data)


def test_save_over_an_older_checkpoint_that_was_cut_short_is_noticed(
    tiny_config: TrainConfig, trial_data: TrialData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two files: neither the old step with new weights nor anything else in between may load."""
    reports = fit(tiny_config, trial_data, device=CPU)
    next(reports).save(tmp_path)
    second = next(reports)
    expected = {name: value.clone() for name, value in second.run.tensors().items()}
    written = Path.write_text
    monkeypatch.setattr(Path, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        second.save(tmp_path)
    monkeypatch.setattr(Path, "write_text", written)
    try:
        run = Run(tiny_config, trial_data, CPU)
        run.restore(tmp_path)
    except CheckpointError:
        return
    same_weights = torch.equal(run.tensors()["prior.logits"], expected["prior.logits"])
    assert same_weights == (run.step == 4), "weights of one step with the number of another"


def killed(*arguments: object, **options: object) -> int:
    raise KeyboardInterrupt


def test_run_goes_on_with_a_smaller_batch(written: Path, tiny_config: TrainConfig, trial_data: TrialData) -> None:
    assert resume(written, tiny_config.with_params({"batch_size": 4}), trial_data) == 4
