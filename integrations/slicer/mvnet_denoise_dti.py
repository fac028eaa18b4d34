#!/usr/bin/env python3
"""Command-line module of 3D Slicer: denoise diffusion tensors with mvnet.

Slicer asks for its description with --xml, then calls it with the options named there. It calls `mvnet denoise dti`;
MVNET names the command where it is not on the PATH.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DESCRIPTION = """<?xml version="1.0" encoding="utf-8"?>
<executable>
  <category>Diffusion</category>
  <title>Denoise tensors (mvnet)</title>
  <description>FA and MD of diffusion tensors without their noise, from a DWI or a tensor image.</description>
  <license>MIT</license>
  <parameters>
    <label>Images</label>
    <image type="any">
      <name>input</name><label>DWI or tensors</label><channel>input</channel><index>0</index>
      <description>Diffusion-weighted or tensor volume</description>
    </image>
    <image fileExtensions=".nii.gz">
      <name>fa</name><label>FA</label><channel>output</channel><index>1</index>
      <description>Fractional anisotropy of the denoised tensors</description>
    </image>
    <image fileExtensions=".nii.gz">
      <name>md</name><label>MD</label><channel>output</channel><longflag>--md</longflag>
      <description>Mean diffusivity of the denoised tensors</description>
    </image>
    <image type="label">
      <name>mask</name><label>Mask</label><channel>input</channel><longflag>--mask</longflag>
      <description>Voxels to use; made from the b0 when not given</description>
    </image>
    <double>
      <name>strength</name><label>Strength</label><longflag>--strength</longflag><default>1</default>
      <description>0 leaves the tensors as they are</description>
      <constraints><minimum>0</minimum><maximum>1</maximum><step>0.1</step></constraints>
    </double>
  </parameters>
</executable>
"""


def command(source, folder, mask=None, strength=1.0):
    """The words of the command."""
    words = [os.environ.get("MVNET", "mvnet"), "denoise", "dti", source, "-o", str(folder), "--maps", "FA,MD"]
    words += ["--no-report"] + (["--mask", mask] if mask else [])
    return words + (["--strength", str(strength)] if strength != 1.0 else [])


def main():
    """Print the description, or denoise and copy the results to where Slicer wants them."""
    if "--xml" in sys.argv[1:]:
        print(DESCRIPTION)
        return 0
    parser = argparse.ArgumentParser()
    parser.add_argument("input")
    parser.add_argument("fa")
    parser.add_argument("--md")
    parser.add_argument("--mask")
    parser.add_argument("--strength", type=float, default=1.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        status = subprocess.call(command(given.input, Path(folder, "out"), given.mask, given.strength))
        if status:
            return status
        for param, target in (("FA", given.fa), ("MD", given.md)):
            if target:
                (found,) = Path(folder, "out").glob(f"*_param-{param}_dwimap.nii.gz")
                shutil.copyfile(found, target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
