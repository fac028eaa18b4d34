"""Names of the files that `mvnet denoise insar` writes on request, and what its quality is."""

from __future__ import annotations

QUALITY = "expected cosine of the error of the fully denoised phase, exp(-s^2 / 2) of its circular standard deviation s"
REPORT, UNWRAPPED, COMPONENTS = "report.html", "unwrapped.tif", "components.tif"
SAMPLES, PHASE_SD, AMBIGUITY = "samples.tif", "phase_sd.tif", "ambiguity.tif"
