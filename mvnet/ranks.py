"""Processes that train one network together, as `torchrun` launches them.

Of every batch of B examples, rank r of W computes examples r, r + W, ...; losses that are sums over what they count
divide by the mean count of a rank, and gradients are averaged over the ranks:

    mean_r ( S_r / mean_r N_r )  =  sum_r S_r / sum_r N_r

so that a step is that of one process with the whole batch. With one process every function here is the identity.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mvnet.errors import MvnetError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_LAUNCHERS = {"OMPI_COMM_WORLD_SIZE": "mpirun", "PMI_SIZE": "mpiexec", "SLURM_STEP_NUM_TASKS": "srun"}
"""Number of processes of a launch, as the launcher says it -> launcher."""


def count_launched() -> int:
    """Number of processes that were launched together by `torchrun`, 1 without it.

    Returns:
        the number.
    Raises:
        MvnetError: several processes of another launcher, which would do the same work side by side.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    for variable, launcher in _LAUNCHERS.items():
        if os.environ.get(variable, "1") not in ("", "1"):
            found = os.environ[variable]
            raise MvnetError(f"processes: found {found} launched by {launcher}, expected one, or torchrun to train")
    return 1


def require_one_process() -> None:
    """Check that the process was launched alone.

    Raises:
        MvnetError: several processes were launched for a command that is one.
    """
    if (count := count_launched()) > 1:
        raise MvnetError(f"processes: found {count}, expected one: this command does not run over several")


def launched_rank() -> int:
    """Number of this process among those that were launched together, 0 when it is alone."""
    return int(os.environ["RANK"]) if count_launched() > 1 else 0


def rank() -> int:
    """Number of this process among those that train together, 0 when it has not joined others."""
    if not together():
        return 0
    from torch import distributed

    return distributed.get_rank()


def count() -> int:
    """Number of processes that train together, once they have joined."""
    if not together():
        return 1
    from torch import distributed

    return distributed.get_world_size()


def together() -> bool:
    """Whether this process has joined others."""
    from torch import distributed

    return distributed.is_available() and distributed.is_initialized()


def local_device(name: str) -> str:
    """The device of this process.

    Args:
        name: as in `mvnet.runtime.find_device`.
    Returns:
        the GPU of the local rank for "auto" and "cuda" where processes are launched together, else the name.
    """
    import torch

    if count_launched() > 1 and (name == "cuda" or (name == "auto" and torch.cuda.is_available())):
        return f"cuda:{os.environ['LOCAL_RANK']}"
    return name


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Join the processes that were launched together; does nothing with one.

    Args:
        device: of this process; GPUs speak by NCCL, processors by Gloo.
    Raises:
        MvnetError: several processes were launched, by something else than torchrun.
    """
    if count_launched() == 1 or together():
        yield
        return
    import torch

    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def wait() -> None:
    """Wait until every process is here."""
    if together():
        from torch import distributed

        distributed.barrier()


def mean_count(counted: Tensor) -> Tensor:
    """The mean over the ranks of what each counted, at least one in all: the denominator of a mean over a batch.

    Args:
        counted: number of elements, any shape; no gradient.
    Returns:
        same shape.
    """
    if not together():
        return counted.clamp_min(1)
    from torch import distributed

    total = counted.detach().clone()
    distributed.all_reduce(total)
    return total.clamp_min(1) / count()


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace every gradient by its mean over the ranks; one that no rank has stays None.

    Args:
        parameters: the same ones in every process.
    """
    if not together():
        return
    import torch
    from torch import distributed

    learned = [p for p in parameters if p.requires_grad]
    device = learned[0].device
    held = torch.tensor([p.grad is not None for p in learned], dtype=torch.int32, device=device)
    distributed.all_reduce(held)
    learned = [p for p, ranks in zip(learned, held.tolist()) if ranks]
    for dtype in dict.fromkeys(p.dtype for p in learned):  # in the order of the parameters, which all ranks share
        kind = [p for p in learned if p.dtype == dtype]
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in kind])
        distributed.all_reduce(flat)
        flat /= count()
        for p, mean in zip(kind, flat.split([p.numel() for p in kind])):
            p.grad = mean.view_as(p)


def average_figures(figures: Mapping[str, float], device: torch.device) -> dict[str, float]:
    """The mean over the ranks of figures for a log.

    Args:
        figures: the same keys in every process.
        device: of the process.
    Returns:
        under the same keys.
    """
    if not together():
        return dict(figures)
    import torch
    from torch import distributed

    values = torch.tensor(list(figures.values()), device=device)
    distributed.all_reduce(values)
    return dict(zip(figures, (values / count()).tolist()))


def share_weights(model: torch.nn.Module) -> None:
    """Give every process the parameters and buffers of rank 0.

    Args:
        model: the same architecture in every process.
    """
    if together():
        from torch import distributed

        for value in model.state_dict().values():
            distributed.broadcast(value, 0)
