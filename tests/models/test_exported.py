"""A program gives what the network gives, on other values than those it was traced with.

That of tensors takes too long to trace here.
"""

import pytest
import torch

from mvnet.errors import MvnetError
from mvnet.models.exported import FORMS, export_program
from mvnet.models.insar.network import InSARDenoiser
from mvnet.models.motion.network import MotionDenoiser
from tests.models.insar.test_network import small_model as small_insar
from tests.models.motion.curves import small_model as small_motion
from tests.models.onnx import onnx_outputs

SMALL = {
    InSARDenoiser: (lambda: small_insar(torch.float32, windows=(6, 0), kernels=((3, 1),)), 16),
    MotionDenoiser: (lambda: small_motion(dtype=torch.float32), 32),
}


@pytest.mark.parametrize("kind", SMALL, ids=lambda kind: kind.__name__)
def test_the_program_is_the_network(kind):
    make, size = SMALL[kind]
    model = make().eval()
    program, about = export_program(model, size)
    assert about["difference"] <= 1e-5
    others = FORMS[kind].examples(size, torch.Generator().manual_seed(1))
    with torch.no_grad():
        for found, expected in zip(program.module()(*others), FORMS[kind].call(model, *others), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", SMALL, ids=lambda kind: kind.__name__)
def test_onnx_is_the_network(kind, tmp_path):
    pytest.importorskip("onnxruntime")
    make, size = SMALL[kind]
    model = make().eval()
    program, _ = export_program(model, size)
    others = FORMS[kind].examples(size, torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = FORMS[kind].call(model, *others)
    for one, other in zip(onnx_outputs(program, others, tmp_path), expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(one), other, rtol=1e-4, atol=1e-5)


def test_what_has_no_form_is_refused():
    with pytest.raises(MvnetError, match="model: found a Linear, expected one of DTIDenoiser"):
        export_program(torch.nn.Linear(1, 1))
