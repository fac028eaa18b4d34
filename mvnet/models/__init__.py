"""The shipped networks, their weights and their inference."""

from mvnet.models.checkpoint import load_checkpoint, pretrained, save_checkpoint
from mvnet.models.dti.inference import DenoisedVolume, denoise_volume
from mvnet.models.dti.maps import TensorMaps
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.dti.predicted_signal import denoised_dwi
from mvnet.models.insar.inference import DenoisedInterferogram, denoise_interferogram
from mvnet.models.insar.network import InSARDenoiser

__all__ = [
    "DTIDenoiser",
    "DenoisedInterferogram",
    "DenoisedVolume",
    "InSARDenoiser",
    "TensorMaps",
    "denoise_interferogram",
    "denoise_volume",
    "denoised_dwi",
    "load_checkpoint",
    "pretrained",
    "save_checkpoint",
]
