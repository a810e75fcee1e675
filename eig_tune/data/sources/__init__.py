"""The table of data sets. A new one is a file of its own and a row here."""

from eig_tune.data.sources.array_file import ARRAY_FILE
from eig_tune.data.sources.base import Request, Source
from eig_tune.data.sources.cifar10 import CIFAR_10
from eig_tune.data.sources.digits import DIGITS
from eig_tune.data.sources.given import ARRAYS
from eig_tune.data.sources.idx_sets import EMNIST, FASHION_MNIST, KMNIST, MNIST
from eig_tune.data.sources.image_files import FILE_LIST, FOLDER
from eig_tune.data.sources.stl10 import STL_10
from eig_tune.data.sources.svhn import SVHN
from eig_tune.data.sources.usps import USPS

__all__ = ["SOURCES", "Request", "Source"]

_ROWS = (DIGITS, MNIST, FASHION_MNIST, KMNIST, *EMNIST, USPS, CIFAR_10, SVHN, STL_10,
         FOLDER, FILE_LIST, ARRAY_FILE, ARRAYS)  # fmt: skip
SOURCES = {row.name: row for row in _ROWS}
