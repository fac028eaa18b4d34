"""The classifier of kernels as a function of tensors.

curves -> filters: convolutions, shares of time or counts -> linear kernels against stored features
       -> elastic: time warping against stored curves     -> exp(-d / median)
       -> centred, added up -> scores = (K + c) C -> probabilities

The formulas are those of `kernel_bank`, `kernel_ridge` and `novelty`, with tensors in place of arrays. Where mirror
images count as the same motion every input holds two curves, the recording's and its mirror image's.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from mvnet.models.activity.classifier import MotionClassifier, convert_recordings
from mvnet.models.activity.kernel_bank import KernelBank
from mvnet.models.activity.kernel_ridge import INTERCEPT, Centring
from mvnet.models.activity.kernels import warped_distances
from mvnet.models.activity.programs.base import ClassifierProgram, KnownProbability
from mvnet.models.activity.serialization import small_recording


class CentredKernels(nn.Module):
    """Mean of the centred kernels of a family.

    Args:
        parts: centring of the kernel of each view.
    """

    rows: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, parts: list[Centring]):
        super().__init__()
        self.register_buffer("rows", torch.from_numpy(np.stack([part.rows for part in parts]))[:, None])
        for name in ("mean", "scale"):
            values = torch.tensor([getattr(part, name) for part in parts], dtype=torch.float64)
            self.register_buffer(name, values.view(-1, 1, 1))

    def forward(self, kernels: Tensor) -> Tensor:
        """K_ij - mean_j' K_ij' - mean_i' K_i'j + mean, scaled.

        Args:
            kernels: (views, 1, n), float64.
        Returns:
            (1, n).
        """
        return ((kernels - kernels.mean(2, keepdim=True) - self.rows + self.mean) * self.scale).mean(0)


class ElasticKernels(nn.Module):
    """Time warping against the training curves.

    Args:
        bank: fitted.
        mirrored: whether mirror images count as the same motion.
    """

    medians: Tensor

    def __init__(self, bank: KernelBank, mirrored: bool):
        super().__init__()
        self.keys = [(name, bank.elastic_samples) for name in bank.curves]
        self.centred = CentredKernels(bank.centring["elastic", mirrored])
        self.register_buffer("medians", torch.tensor([bank.median[name] for name in bank.curves]).view(-1, 1, 1))
        for i, curves in enumerate(bank.curves.values()):
            self.register_buffer(f"curves_{i}", curves.clone())

    def forward(self, seen: dict[tuple[str, int], Tensor]) -> tuple[Tensor, Tensor]:
        """Kernel and distance to the training motions.

        Args:
            seen: curves (1, samples, channels), or two with that of the mirror image.
        Returns:
            (1, n) each, float64.
        """
        # d -> exp(-d / median), its mean over the images; d / median, the smaller of the images
        known = [self.get_buffer(f"curves_{i}") for i in range(len(self.keys))]
        curves = [(image, own) for key, own in zip(self.keys, known) for image in seen[key].split(1)]
        ratio = (warped_distances(curves).view(len(known), -1, known[0].shape[0]) / self.medians).double()
        return self.centred((-ratio).exp().mean(1, keepdim=True)), ratio.mean(0).amin(0, keepdim=True)


class FeatureKernels(nn.Module):
    """Linear kernels of what filters respond, against the features of the training curves.

    Args:
        bank: fitted.
        family: "filters" or "competing".
        mirrored: whether mirror images count as the same motion.
    """

    def __init__(self, bank: KernelBank, family: str, mirrored: bool):
        super().__init__()
        self.filters, self.averaged = list(bank.filters[family].values()), bank.averaged
        self.keys = [(name, bank.samples) for name in bank.filters[family]]
        self.centred = CentredKernels(bank.centring[family, mirrored])
        for i, (name, features) in enumerate(bank.features[family].items()):
            known = features * bank.filters[family][name].scale
            self.register_buffer(f"features_{i}", features.clone())
            self.register_buffer(f"plain_{i}", known)
            self.register_buffer(f"square_{i}", known.square().mean(1).double())

    def forward(self, seen: dict[tuple[str, int], Tensor]) -> tuple[Tensor, Tensor]:
        """Kernel and distance to the training motions.

        Args:
            seen: curves (1, samples, channels), or two with that of the mirror image.
        Returns:
            (1, n) each, float64.
        """
        kernels, distances = [], []
        for i, (key, filters) in enumerate(zip(self.keys, self.filters)):
            known, plain, square = (self.get_buffer(f"{name}_{i}") for name in ("features", "plain", "square"))
            f, count = filters(seen[key]), known.shape[1]
            if self.averaged:  # (f(x) + f(Mx)) / 2
                f = f.mean(0, keepdim=True)
            # f(x) . f(y) / count; |s (f(x) - f(y))|^2 / count
            kernels.append((f @ known.mT / count).double().mean(0, keepdim=True))
            f = f * filters.scale
            squares = f.square().mean(1, keepdim=True).double() + square - 2 * (f @ plain.mT / count).double()
            distances.append(squares.clamp_min(0).sqrt())
        return self.centred(torch.stack(kernels)), torch.stack(distances).mean(0).amin(0, keepdim=True)


class KernelProgram(ClassifierProgram):
    """Ridge regression on kernels, with the sharpness of its probabilities, and what tells the unknown.

    Args:
        classifier: fitted.
    """

    preparation = "mvnet.models.activity.programs.kernels.KernelProgram.prepare"
    dual: Tensor

    def __init__(self, classifier: MotionClassifier):
        super().__init__()
        bank, rule, self.shares = classifier.bank_, classifier.novelty_, classifier.shares
        self.bank, self.mirrored = bank, classifier.settings_["mirror"]
        self.usual = {} if rule is None else rule.usual
        used = [family for family, share in self.shares.items() if share or family in self.usual]
        self.families = nn.ModuleDict(
            {
                family: ElasticKernels(bank, self.mirrored)
                if family == "elastic"
                else FeatureKernels(bank, family, self.mirrored)
                for family in used
            }
        )
        self.sharpness = classifier.sharpness_
        self.register_buffer("dual", torch.from_numpy(classifier.dual_).double())
        labels = torch.zeros(len(self.dual), dtype=torch.long) if rule is None else torch.from_numpy(classifier.labels_)
        self.known = KnownProbability(rule, labels)
        sampled, what = self._sampled(self.example()), "curve, then that of its mirror image"
        self.keys = list(sampled)
        self.inputs = {
            f"{view} {count}": f"{tuple(curves.shape)} {what if self.mirrored else 'curve'}"
            for (view, count), curves in sampled.items()
        }

    def _sampled(self, sequence: np.ndarray) -> dict[tuple[str, int], Tensor]:
        recordings = convert_recordings([sequence])
        recordings += [self.bank.views.reflect(x) for x in recordings] if self.mirrored else []
        return self.bank.sampled(recordings, list(self.families))

    def prepare(self, sequence: np.ndarray) -> tuple[Tensor, ...]:
        """Curves of every view."""
        return tuple(self._sampled(sequence).values())

    def example(self) -> np.ndarray:
        """Random values."""
        return small_recording(self.bank.views.kind, self.bank.views.joints)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """Curves -> kernels, distances -> scores -> probabilities."""
        seen = dict(zip(self.keys, tensors, strict=True))
        found = {family: kernels(seen) for family, kernels in self.families.items()}
        kernel = torch.stack([self.shares[family] * found[family][0] for family in found]).sum(0)
        scores = (kernel + INTERCEPT) @ self.dual
        ratios = [found[family][1] / usual for family, usual in self.usual.items()]
        distance = torch.stack(ratios).mean(0) if ratios else kernel
        return (self.sharpness * scores).softmax(1), self.known(scores, distance)
