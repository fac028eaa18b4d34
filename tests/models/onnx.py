"""What onnxruntime makes of a program; skipped where it is not installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor


def onnx_outputs(program: torch.export.ExportedProgram, tensors: Sequence[Tensor], folder: Path) -> list[np.ndarray]:
    """Outputs of the program as `mvnet export -o MODEL.onnx` writes it."""
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    path = folder / "model.onnx"
    torch.onnx.export(program, (), str(path), dynamo=True, external_data=False, verbose=False)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    return session.run(None, dict(zip(names, (tensor.numpy() for tensor in tensors), strict=True)))
