"""What is exported of an InfoGAN: encoder and generator, each as one module.

Shape suffixes: N images, C channels, H and W the side S, D noise numbers, K categories.
"""

from torch import Tensor, nn

from eig_tune.models.prior import one_hot


class EncoderProgram(nn.Module):
    """Images [N, C, S, S] to Q(c|x) [N, K]."""

    def __init__(self, front_end: nn.Module, category_head: nn.Module) -> None:
        super().__init__()
        self.front_end, self.category_head = front_end, category_head

    def forward(self, images: Tensor) -> Tensor:
        logits_NK: Tensor = self.category_head(self.front_end(images))[1]
        return logits_NK.softmax(dim=1)


class GeneratorProgram(nn.Module):
    """Noise [N, D] and categories [N] (int64) to images [N, C, S, S]."""

    def __init__(self, generator: nn.Module, categories: int) -> None:
        super().__init__()
        self.generator, self.categories = generator, categories

    def forward(self, noise: Tensor, category: Tensor) -> Tensor:
        images_NCHW: Tensor = self.generator(noise, one_hot(category, self.categories))
        return images_NCHW
