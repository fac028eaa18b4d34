"""The shipped networks, their weights, and how to call them."""

from mvnet.models.checkpoint import load_checkpoint, pretrained, save_checkpoint
from mvnet.models.dti import DTIDenoiser
from mvnet.models.inference import DenoisedVolume, denoise_volume
from mvnet.models.insar import InSARDenoiser
from mvnet.models.insar_inference import DenoisedInterferogram, denoise_interferogram

__all__ = [
    "DTIDenoiser",
    "DenoisedInterferogram",
    "DenoisedVolume",
    "InSARDenoiser",
    "denoise_interferogram",
    "denoise_volume",
    "load_checkpoint",
    "pretrained",
    "save_checkpoint",
]
