"""`mvnet export`: a network, or a classifier of motions, as a program of torch, or of ONNX, that needs no mvnet."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from mvnet.apps.common.console import Console
from mvnet.apps.common.errors import UserError
from mvnet.apps.common.outputs import Outputs
from mvnet.data_loaders.optional import import_optional
from mvnet.storage import json_text

ENDS = (".pt2", ".onnx")
"""Of the file, which say what it is."""

_MOST = 1e-5


def export(name: str, output: Path, size: int | None, *, overwrite: bool, quiet: bool) -> dict[str, Any]:
    """Write the program of a network and, beside it, what it takes and gives.

    Args:
        name: of shipped weights, path of a checkpoint, or run folder of `mvnet train activity`.
        output: ends as one of `ENDS`.
        size: voxels, pixels or frames along an axis of the input; None is the network's usual one.
        overwrite: whether an existing file may be replaced.
        quiet: no messages.
    Returns:
        summary; "difference" is the largest one between the outputs of the program and of the network.
    Raises:
        UserError: another ending, a network that has no such form, or a program that gives something else.
    """
    if output.suffix not in ENDS:
        raise UserError(f"--output: found {output.name}, expected a name that ends in {' or '.join(ENDS)}")
    if output.suffix == ".onnx":
        import_optional("onnxscript", "export")
    import torch

    outputs = Outputs(output.parent, (output.name, f"{output.stem}.json"), overwrite=overwrite)
    console = Console(quiet)
    program, about = _trace_run(Path(name), size, console) if Path(name).is_dir() else _trace(name, size, console)
    if not about["difference"] <= _MOST:
        raise UserError(f"model: found a program that differs by {about['difference']:.2g}, expected at most {_MOST:g}")
    summary = {"model": name, "output": str(output), **about}
    with outputs, tempfile.TemporaryDirectory() as folder:
        written = Path(folder, output.name)
        if output.suffix == ".onnx":
            torch.onnx.export(program, (), str(written), dynamo=True, external_data=False, verbose=False)
        else:
            torch.export.save(program, written)
        outputs.path(output.name).write_bytes(written.read_bytes())
        outputs.path(f"{output.stem}.json").write_text(json_text(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def _trace(name: str, size: int | None, console: Console) -> tuple[Any, dict[str, Any]]:
    """The program of a network, and what is said of it."""
    from mvnet.models.checkpoint import find_model
    from mvnet.models.exported import export_program

    model, card = find_model(name)
    console.say("tracing the network: a minute or two")
    program, about = export_program(model, size)
    return program, {"architecture": card["architecture"], **about}


def _trace_run(run: Path, size: int | None, console: Console) -> tuple[Any, dict[str, Any]]:
    """The program of a classifier of motions, and what is said of it."""
    from mvnet.apps.activity import models
    from mvnet.models.activity.programs import export_classifier

    if size is not None:
        raise UserError(f"--size: found {size}, expected none: a classifier of motions takes curves of its own length")
    classifier, card = models.load(run)
    console.say("tracing the classifier: a minute, of ONNX several")
    program, about = export_classifier(classifier)
    classes = [card["classes"][int(label)] for label in classifier.classes_]
    return program, {"architecture": card["architecture"], "classes": classes, **about}
