"""QGIS Processing script: denoise an interferogram with mvnet.

It calls `mvnet denoise insar`; MVNET names the command where it is not on the PATH.
"""

import os
import subprocess

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

OPTIONS = {"COHERENCE": "--coherence", "STRENGTH": "--strength"}
"""Parameter -> option of the command."""


def command(source, target, coherence=None, strength=1.0, unwrap=False):
    """The words of the command."""
    words = [os.environ.get("MVNET", "mvnet"), "denoise", "insar", source, "-o", target, "--overwrite"]
    if coherence is not None:
        words += [OPTIONS["COHERENCE"], coherence]
    if strength != 1.0:
        words += [OPTIONS["STRENGTH"], str(strength)]
    return words + (["--unwrap", "skimage"] if unwrap else [])


class DenoiseInSAR(QgsProcessingAlgorithm):
    """Interferogram in, wrapped phase and its confidence out."""

    def name(self):
        return "mvnetdenoiseinsar"

    def displayName(self):
        return "Denoise interferogram (mvnet)"

    def group(self):
        return "InSAR"

    def groupId(self):
        return "insar"

    def shortHelpString(self):
        return "Wrapped phase without its noise, and how sure every pixel is. No parameter has to be set."

    def createInstance(self):
        return DenoiseInSAR()

    def initAlgorithm(self, config=None):
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", "Interferogram: complex, or phase in radians"))
        self.addParameter(QgsProcessingParameterRasterLayer("COHERENCE", "Coherence", optional=True))
        number = QgsProcessingParameterNumber.Double
        self.addParameter(QgsProcessingParameterNumber("STRENGTH", "Strength", number, 1.0, minValue=0.0, maxValue=1.0))
        self.addParameter(QgsProcessingParameterBoolean("UNWRAP", "Unwrap too", False))
        self.addParameter(QgsProcessingParameterRasterDestination("OUTPUT", "Filtered phase"))

    def processAlgorithm(self, parameters, context, feedback):
        source = self.parameterAsRasterLayer(parameters, "INPUT", context).source()
        coherence = self.parameterAsRasterLayer(parameters, "COHERENCE", context)
        target = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        words = command(
            source,
            target,
            None if coherence is None else coherence.source(),
            self.parameterAsDouble(parameters, "STRENGTH", context),
            self.parameterAsBool(parameters, "UNWRAP", context),
        )
        feedback.pushCommandInfo(" ".join(words))
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            for line in process.stdout:
                feedback.pushInfo(line.rstrip())
                if feedback.isCanceled():
                    process.terminate()
        if process.returncode:
            raise QgsProcessingException(f"mvnet ended with status {process.returncode}; its last line says why")
        return {"OUTPUT": target}
