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
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_VOLATILE = {"timings", "seconds", "mpx_per_second", "version", "Version", "MVNET_VERSION"}


def commands(data: Path, crop: Path) -> dict[str, str]:
    """name -> arguments of `mvnet`; outputs go to the current folder, which has the name of the command.

    Args:
        data: the folder that MVNET_DATA names.
        crop: a small DWI; the gradient files are those of the scan.
    """
    root = shlex.quote(str(data))
    scan, tensors = f"{root}/dti/invivo_sherbrooke_1p8mm", f"{root}/dti/mvirt_spd/camino_slice28_symmatrix.nii.gz"
    gradients = f"--bval {scan}/dwi.bval --bvec {scan}/dwi.bvec"
    phase, coherence = f"{root}/insar/eo_tools/phi_vv.tif", f"{root}/insar/eo_tools/coh_vv.tif"
    florence, short = f"{root}/motion/skeleton/Florence3D", "--batch 2 --workers 0 --device cpu"
    return {
        "denoise dti, DWI": f"denoise dti {scan}/dwi.nii.gz -o out --json",
        "denoise dti, tensors": f"denoise dti {tensors} -o out --strength 0.5 --json",
        "denoise dti, adapted": f"denoise dti {crop} {gradients} -o out --adapt --json",
        "denoise insar": f"denoise insar {phase} --coherence {coherence} -o out.tif --report --tile 256 --json",
        "denoise insar, complex": f"denoise insar {phase} -o out.tif --complex --strength 0.7 --unwrap skimage --json",
        "train dti": f"train dti -o run --dwi {crop} {gradients} --steps 6 --simulated 1 --patch 8 {short}",
        "train insar": f"train insar -o run --steps 4 {short}",
        "train activity": f"train activity --data {florence} -o run --json",
        "evaluate activity": "evaluate activity ../train\\ activity/run --json",
        "predict activity": f"predict activity ../train\\ activity/run {florence} --json",
        "crossval activity": f"crossval activity --data {florence} --first 1 --json",
        "train activity, lie": f"train activity --data {florence} -o run --network lie --epochs 2 --device cpu --json",
        "verify dti": "verify dti --json",
        "verify insar": "verify insar --json",
        "demo": "demo -o out --json",
    }


def write_crop(data: Path, path: Path) -> None:
    """Part of the in-vivo scan, 20 x 20 x 14 voxels."""
    import nibabel

    image: Any = nibabel.load(data / "dti/invivo_sherbrooke_1p8mm/dwi.nii.gz")
    nibabel.save(image.slicer[50:70, 50:70, 30:44], path)


def without_volatile(value: Any) -> Any:
    """A JSON value without what changes from run to run."""
    if isinstance(value, dict):
        return {k: without_volatile(v) for k, v in value.items() if k not in _VOLATILE}
    if isinstance(value, list):
        return [without_volatile(v) for v in value]
    if isinstance(value, str) and os.sep in value:
        return Path(value).name
    return value


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def json_digest(text: str | bytes) -> str:
    return digest(json.dumps(without_volatile(json.loads(text)), sort_keys=True).encode())


def file_digest(path: Path) -> str:
    """Digest of the content of a file: unpacked, without times and numbers of a page."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        return digest(gzip.decompress(data))
    if path.suffix == ".json":
        return json_digest(data)
    if path.suffix == ".html":
        return digest(re.sub(rb"[0-9.]+ s\b|[0-9.]+ Mpx|<td>[0-9.e-]+</td>", b"", data))
    return digest(data)


def results(mvnet: str, only: str) -> dict[str, dict[str, str]]:
    """command -> {"status": ..., "stdout": digest, name of a file: digest, ...}."""
    found: dict[str, dict[str, str]] = {}
    data = Path(os.environ["MVNET_DATA"])
    with tempfile.TemporaryDirectory() as root:
        crop = Path(root) / "crop.nii.gz"
        write_crop(data, crop)
        for name, arguments in commands(data, crop).items():
            if only not in name:
                continue
            folder = Path(root) / name
            folder.mkdir()
            start = time.perf_counter()
            run = subprocess.run([mvnet, *shlex.split(arguments)], cwd=folder, capture_output=True, text=True)
            print(f"{name}: status {run.returncode}, {time.perf_counter() - start:.1f} s", file=sys.stderr)
            if run.returncode:
                print(run.stderr, file=sys.stderr)
            files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".jsonl")
            found[name] = {
                "status": str(run.returncode),
                "stdout": json_digest(run.stdout if run.stdout.startswith("{") else "{}"),
                **{str(path.relative_to(folder)): file_digest(path) for path in files},
            }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.same_results", description=__doc__)
    parser.add_argument("--mvnet", default="mvnet", help="the command to run")
    parser.add_argument("--only", default="", help="commands whose name contains this")
    parser.add_argument("--save", type=Path, help="where to store the digests")
    parser.add_argument("--against", type=Path, help="digests to compare with")
    options = parser.parse_args()
    if "MVNET_DATA" not in os.environ:
        sys.exit("MVNET_DATA: not set, expected the folder that holds dti, insar and motion")
    found = results(options.mvnet, options.only)
    if options.save:
        options.save.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if options.against:
        stored = json.loads(options.against.read_text(encoding="utf-8"))
        for name, files in found.items():
            before = stored.get(name, {})
            differing = sorted(k for k in {*files, *before} if files.get(k) != before.get(k))
            outcome = "DIFFERS" if differing else "same"
            print(f"{outcome:7}  {name}: {len(files)} results  {', '.join(differing)}")


if __name__ == "__main__":
    main()
