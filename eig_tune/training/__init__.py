"""One run: ``loop.fit(config, data)`` yields what it has reached. Its configuration needs no PyTorch."""

from eig_tune.training.config import TrainConfig, TrainSettings

__all__ = ["TrainConfig", "TrainSettings"]
