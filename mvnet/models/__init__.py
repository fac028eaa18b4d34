"""The shipped networks, their weights, and how to call them."""

from mvnet.models.checkpoint import load_checkpoint, pretrained, save_checkpoint
from mvnet.models.dti import DTIDenoiser
from mvnet.models.inference import DenoisedVolume, denoise_volume

__all__ = [
    "DTIDenoiser",
    "DenoisedVolume",
    "denoise_volume",
    "load_checkpoint",
    "pretrained",
    "save_checkpoint",
]
