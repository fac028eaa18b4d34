"""`array.mvnet.denoise()` on every DataArray, once this module is imported.

import mvnet.xarray
import rioxarray

phase = rioxarray.open_rasterio("unw_phase.tif").squeeze()
clean = phase.mvnet.denoise()
"""

from __future__ import annotations

from typing import Any

import xarray

from mvnet.api import denoise_insar


@xarray.register_dataarray_accessor("mvnet")
class Accessor:
    """What mvnet does with an interferogram or a stack of them.

    Args:
        array: (H, W) or (pair, H, W), complex or phase in radians.
    """

    def __init__(self, array: xarray.DataArray):
        self._array = array

    def denoise(self, coherence: xarray.DataArray | None = None, **options: Any) -> xarray.DataArray:
        """As `mvnet.denoise_insar`.

        Args:
            coherence: on the grid of the array, in [0, 1].
            **options: further arguments of `mvnet.denoise_insar`.
        Returns:
            dimensions, coordinates, name and attributes are those of the array; with `confidence`.
        Raises:
            MvnetError: as `mvnet.denoise_insar`.
        """
        return denoise_insar(self._array, coherence, **options)
