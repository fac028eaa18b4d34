"""Do the commands still give what they gave? Digests of their files, stored or compared with those of another version.

    python -m benchmarks.same_results --mvnet COMMAND --save FILE | --against FILE

Every command runs on the real data named by MVNET_DATA with the shipped weights; the digest of each file that it writes
and of what it prints is stored, or compared with the digests of another version. Times, paths and the version are left
out of the digests, images are compared by their content.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_VOLATILE = {"timings", "seconds", "mpx_per_second", "version", "Version", "MVNET_VERSION"}


def commands(data: Path, inputs: Path) -> dict[str, list[str]]:
    """name -> arguments of `mvnet`; outputs go to the current folder."""
    scan = data / "dti/invivo_sherbrooke_1p8mm"
    crop = ["--bval", str(scan / "dwi.bval"), "--bvec", str(scan / "dwi.bvec")]
    insar = data / "insar/eo_tools"
    florence = str(data / "motion/skeleton/Florence3D")
    lie = ["--network", "lie", "--epochs", "2", "--device", "cpu"]
    return {
        "denoise dti, DWI": ["denoise", "dti", str(scan / "dwi.nii.gz"), "-o", "out", "--json"],
        "denoise dti, tensors": ["denoise", "dti", str(data / "dti/mvirt_spd/camino_slice28_symmatrix.nii.gz")]
        + ["-o", "out", "--strength", "0.5", "--json"],
        "denoise dti, adapted": [
            "denoise",
            "dti",
            str(inputs / "crop.nii.gz"),
            *crop,
            "-o",
            "out",
            "--adapt",
            "--json",
        ],
        "denoise insar": ["denoise", "insar", str(insar / "phi_vv.tif"), "--coherence", str(insar / "coh_vv.tif")]
        + ["-o", "out.tif", "--report", "--tile", "256", "--json"],
        "denoise insar, complex": ["denoise", "insar", str(insar / "phi_vv.tif"), "-o", "out.tif", "--complex"]
        + ["--strength", "0.7", "--unwrap", "skimage", "--json"],
        "train dti": ["train", "dti", "-o", "run", "--dwi", str(inputs / "crop.nii.gz"), *crop, "--steps", "6"]
        + ["--batch", "2", "--simulated", "1", "--patch", "8", "--workers", "0", "--device", "cpu"],
        "train insar": [
            "train",
            "insar",
            "-o",
            "run",
            "--steps",
            "4",
            "--batch",
            "2",
            "--workers",
            "0",
            "--device",
            "cpu",
        ],
        "train activity": ["train", "activity", "--data", florence, "-o", "run", "--json"],
        "evaluate activity": ["evaluate", "activity", "../train activity/run", "--json"],
        "predict activity": [
            "predict",
            "activity",
            "../train activity/run",
            str(data / "motion/skeleton/Florence3D"),
            "--json",
        ],
        "crossval activity": ["crossval", "activity", "--data", florence, "--first", "1", "--json"],
        "train activity, lie": ["train", "activity", "--data", florence, "-o", "run", *lie, "--json"],
        "verify dti": ["verify", "dti", "--json"],
        "verify insar": ["verify", "insar", "--json"],
        "demo": ["demo", "-o", "out", "--json"],
    }


def write_crop(data: Path, path: Path) -> None:
    """Part of the in-vivo scan, 20 x 20 x 14 voxels."""
    import nibabel

    image: Any = nibabel.load(data / "dti/invivo_sherbrooke_1p8mm/dwi.nii.gz")
    nibabel.save(image.slicer[50:70, 50:70, 30:44], path)


def steady(value: Any) -> Any:
    """A JSON value without what changes from run to run."""
    if isinstance(value, dict):
        return {k: steady(v) for k, v in value.items() if k not in _VOLATILE}
    if isinstance(value, list):
        return [steady(v) for v in value]
    if isinstance(value, str) and os.sep in value:
        return Path(value).name
    return value


def digest(path: Path) -> str:
    """Of what a file says."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    elif path.suffix == ".json":
        data = json.dumps(steady(json.loads(data)), sort_keys=True).encode()
    elif path.suffix == ".html":
        data = re.sub(rb"[0-9.]+ s\b|[0-9.]+ Mpx|<td>[0-9.e-]+</td>", b"", data)
    return hashlib.sha256(data).hexdigest()[:16]


def results(mvnet: str, only: str) -> dict[str, dict[str, str]]:
    """command -> name of a file, or "stdout" -> digest."""
    found: dict[str, dict[str, str]] = {}
    data = Path(os.environ["MVNET_DATA"])
    with tempfile.TemporaryDirectory() as root:
        write_crop(data, Path(root) / "crop.nii.gz")
        for name, arguments in commands(data, Path(root)).items():
            if only not in name:
                continue
            folder = Path(root) / name
            folder.mkdir()
            start = time.perf_counter()
            done = subprocess.run([mvnet, *arguments], cwd=folder, capture_output=True, text=True)
            print(f"{name}: status {done.returncode}, {time.perf_counter() - start:.1f} s", file=sys.stderr)
            if done.returncode:
                print(done.stderr, file=sys.stderr)
            said = json.loads(done.stdout) if done.stdout.startswith("{") else {}
            files = {
                str(p.relative_to(folder)): digest(p)
                for p in sorted(folder.rglob("*"))
                if p.is_file() and p.suffix != ".jsonl"
            }
            said = hashlib.sha256(json.dumps(steady(said), sort_keys=True).encode()).hexdigest()[:16]
            found[name] = {"status": str(done.returncode), "stdout": said, **files}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.same_results", description=__doc__)
    parser.add_argument("--mvnet", default="mvnet", help="the command to run")
    parser.add_argument("--only", default="", help="commands whose name holds this")
    parser.add_argument("--save", type=Path, help="where to store the digests")
    parser.add_argument("--against", type=Path, help="digests to compare with")
    options = parser.parse_args()
    found = results(options.mvnet, options.only)
    if options.save:
        options.save.write_text(json.dumps(found, indent=2))
    if options.against:
        before = json.loads(options.against.read_text())
        for name, files in found.items():
            differing = sorted(k for k in {*files, *before[name]} if files.get(k) != before[name].get(k))
            print(f"{'same' if not differing else 'DIFFERS'}  {name}: {len(files)} results  {', '.join(differing)}")


if __name__ == "__main__":
    main()
