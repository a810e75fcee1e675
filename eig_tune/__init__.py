"""eig-tune: find the hyperparameters with which Elastic-InfoGAN discovers classes and their imbalance."""

__version__ = "0.1.0"
