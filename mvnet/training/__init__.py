"""One training loop for every network."""

from mvnet.training.loop import batches_of, train
from mvnet.training.monitor import Monitor
from mvnet.training.run import Objective, Run
from mvnet.training.schedule import Schedule

__all__ = ["Monitor", "Objective", "Run", "Schedule", "batches_of", "train"]
