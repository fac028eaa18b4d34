"""The command line and its small inputs, as the tests of the commands have them."""

from tests.apps.conftest import (  # noqa: F401
    checkpoint,
    circle_checkpoint,
    circle_model,
    denoise,
    filtered,
    listening,
    run,
    scan,
)
