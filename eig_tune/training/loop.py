"""The training loop, as a generator: callers own stopping, logging and checkpoints.

Shape suffixes: C classes.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from eig_tune.data import ImageData
from eig_tune.data.batches import batches_for
from eig_tune.errors import CheckpointError
from eig_tune.evaluation.base import Metric
from eig_tune.evaluation.classifier import EvaluationClassifier
from eig_tune.evaluation.evaluator import Evaluation, Evaluator
from eig_tune.evaluation.record import write_evaluation
from eig_tune.evaluation.registry import own_metrics, register_metric
from eig_tune.models import METHODS, Method, own_methods, register_method
from eig_tune.models.base import Model, ModelSetup, build_model
from eig_tune.training import checkpoint
from eig_tune.training.average import WeightAverage
from eig_tune.training.config import TrainConfig
from eig_tune.training.memory import keep_freed_memory
from eig_tune.training.step import CapturedStep, TrainingStep


@dataclass(frozen=True)
class TrialData:
    """What a run is given.

    Attributes:
        images: training and held-out images.
        classifier: the evaluation classifier, where the images have labels.
        metrics: the user's own ones; those that are registered in the process that makes this.
        methods: the user's own ones, likewise.
    """

    images: ImageData
    classifier: EvaluationClassifier | None
    metrics: tuple[Metric, ...] = field(default_factory=own_metrics)
    methods: tuple[Method, ...] = field(default_factory=own_methods)

    def register(self) -> None:
        """Make the user's own metrics and methods known in this process, which may be another one."""
        for metric in self.metrics:
            register_metric(metric)
        for method in self.methods:
            register_method(method)


@dataclass(frozen=True)
class Progress:
    """What a run has reached at a report.

    Attributes:
        step: optimisation steps done, one update of every weight each.
        losses: mean of every loss since the last report.
        evaluation: metrics, table, prior and samples at this step.
        train_seconds: seconds spent in training steps since the last report.
        evaluation_seconds: seconds spent in the evaluation at this report.
        run: the live run; its weights move on when the next report is asked for.
    """

    step: int
    losses: dict[str, float]
    evaluation: Evaluation
    train_seconds: float
    evaluation_seconds: float
    run: "Run"

    def metrics(self) -> dict[str, float]:
        """Losses and metrics by name."""
        return {**self.losses, **self.evaluation.metrics}

    def save(self, directory: Path) -> None:
        """Write a checkpoint from which ``fit`` can go on as if nothing had happened."""
        checkpoint.save(directory, self.run.tensors(), self.run.record())
        write_evaluation(self.evaluation, directory)


def fit(
    config: TrainConfig, data: TrialData, resume: Path | None = None, device: torch.device | None = None
) -> Iterator[Progress]:
    """Train one model; yield a :class:`Progress` every ``report_every`` steps and at the end.

    Args:
        resume: a checkpoint directory that ``Progress.save`` wrote for the same config.
        device: by default CUDA when there is one, else the CPU.

    Raises:
        CheckpointError: the checkpoint is damaged or of another config.
    """
    keep_freed_memory()
    run = Run(config, data, device or torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    if resume is not None:
        run.restore(resume)
    every = config.train.report_every
    while run.step < config.train.steps:
        started = time.perf_counter()
        losses = run.advance(min(every - run.step % every, config.train.steps - run.step))
        trained = time.perf_counter()
        evaluation = run.evaluate()
        yield Progress(run.step, losses, evaluation, trained - started, time.perf_counter() - trained, run)


class Run:
    """The moving parts of one run: model, the average of its weights, images, random numbers and step."""

    def __init__(self, config: TrainConfig, data: TrialData, device: torch.device) -> None:
        self.config = config
        self.step = 0
        self._images = data.images
        self._random = torch.Generator(device).manual_seed(config.seed)
        self._evaluator = Evaluator(data.images, data.classifier, config.augment, device)
        distribution = data.images.class_distribution
        shares = None if distribution is None else torch.tensor(distribution)
        setup = model_setup(config, data.images.image_size, data.images.channels, shares, self._random)
        self.model = build_model(setup)
        self._batches = batches_for(data.images.training, config.train.batch_size, config.seed, device)
        self._step = TrainingStep(self.model, self._batches, config, self._random)
        captured = device.type == "cuda" and METHODS[config.method].model.capturable
        self._train_step = CapturedStep(self._step, self._random) if captured else self._step
        self._average: WeightAverage | None = None
        if config.train.ema_decay > 0:
            second = build_model(replace(setup, generator=torch.Generator(device)))
            self._average = WeightAverage(self.model, second, config.train.ema_decay)

    @property
    def evaluated_model(self) -> Model:
        """The model that is evaluated, sampled from and exported: of averaged weights, unless they are not averaged."""
        return self.model if self._average is None else self._average.model

    def advance(self, steps: int) -> dict[str, float]:
        """Train for ``steps`` steps; the mean of every loss over them."""
        for _ in range(steps):
            self._batches.prepare(self.step)
            self._train_step()
            self.step += 1
            if self._average is not None:
                self._average.update(self.step)
        return self._step.take_mean_losses(steps)

    def evaluate(self, live: bool = False) -> Evaluation:
        """Evaluate the model now; at the last step on more images.

        Args:
            live: with the weights as they are trained, not their averages.
        """
        train, model = self.config.train, self.model if live else self.evaluated_model
        last = self.step >= train.steps
        return self._evaluator.evaluate(model, train.final_images_per_category if last else train.images_per_category)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a resumed run needs, by name."""
        averages = {} if self._average is None else checkpoint.collect_averages(self._average.model.modules())
        live = checkpoint.collect(self.model.modules(), self.model.optimizers())
        return live | averages | {"random_state": self._random.get_state()}

    def record(self) -> checkpoint.RunRecord:
        """What a checkpoint of this moment says about itself."""
        images = self._images
        return checkpoint.RunRecord(self.config, self.step, images.image_size, images.channels, images.classes)

    def restore(self, directory: Path) -> None:
        """Go back to where a checkpoint was written."""
        tensors, self.step = checkpoint.load(directory, self.record())
        try:
            self._random.set_state(tensors.pop("random_state"))
        except (KeyError, RuntimeError, TypeError) as error:
            raise CheckpointError(f"{directory}: its random state is missing or damaged ({error})") from error
        checkpoint.distribute(tensors, self.model.modules(), self.model.optimizers())
        if self._average is not None:
            averages = checkpoint.averages(tensors)
            if averages:
                checkpoint.distribute(averages, self._average.model.modules(), {})
            else:  # of a checkpoint from before weights were averaged
                self._average.restart()


def model_setup(
    config: TrainConfig, image_size: int, channels: int, class_shares_C: Tensor | None, generator: torch.Generator
) -> ModelSetup:
    """What the model of a run is made from."""
    method = METHODS[config.method]
    return ModelSetup(method, config.model, config.train, image_size, channels, class_shares_C, generator)


def model_of(record: checkpoint.RunRecord, tensors: Mapping[str, Tensor]) -> Model:
    """The model of a checkpoint or bundle, on the CPU, for inference; with averaged weights where there are any.

    Raises:
        CheckpointError: the weights do not fit the record.
    """
    categories = record.config.model.categories
    shares = torch.full((categories,), 1 / categories)  # a fixed prior's own are among the weights
    model = build_model(model_setup(record.config, record.image_size, record.channels, shares, torch.Generator()))
    checkpoint.distribute(checkpoint.averages(tensors) or tensors, model.modules(), {})
    return model


def read_model(directory: Path) -> tuple[checkpoint.RunRecord, Model]:
    """The run and the model of a checkpoint, on the CPU, for inference.

    Raises:
        CheckpointError: it is missing or damaged.
        StorageError: it cannot be read now.
    """
    record = checkpoint.read_run(directory)
    return record, model_of(record, checkpoint.read_tensors(directory))
