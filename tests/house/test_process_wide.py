"""What changes the whole process is called in one file."""

from __future__ import annotations

import re
from pathlib import Path

import mvnet

# names that follow a word or an underscore, such as omp_set_num_threads, are other functions
CALLS = re.compile(
    r"\b(set_num_threads|set_num_interop_threads|set_flush_denormal|mallopt|set_default_dtype|set_default_device"
    r"|manual_seed_all|set_deterministic\w*|use_deterministic_algorithms|set_float32_matmul_precision"
    r"|filterwarnings|simplefilter|basicConfig|setlocale)\b"
    r"|\btorch\.manual_seed|\bnp\.random\.seed|\brandom\.seed|\bos\.environ\[[^]]*\]\s*=|\bos\.putenv"
)
ALLOWED = {
    "runtime.py",
}
SEEDED_AND_RESTORED = {"manifolds/bridges.py"}  # geomstats draws from the global states


def test_process_wide_calls_are_in_one_file() -> None:
    root = Path(mvnet.__file__).parent
    found = set()
    for file in root.rglob("*.py"):
        name = file.relative_to(root).as_posix()
        for line in file.read_text().splitlines():
            code = line.split("#")[0]
            if CALLS.search(code) and "`" not in code:
                found.add(name)
    assert found - ALLOWED - SEEDED_AND_RESTORED == set()
    assert "runtime.py" in found
