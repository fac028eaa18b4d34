"""Processes that train together take the steps of one process with the whole batch."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mvnet import ranks
from mvnet.errors import MvnetError
from tests.training import ranks_worker


def _launch(folder: Path, count: int = 2) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test"}
    command = [sys.executable, "-m", "tests.training.ranks_worker", str(folder)]
    workers = [
        subprocess.Popen(command, env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(count)
    ]
    assert [worker.wait(timeout=300) for worker in workers] == [0] * count


def test_two_processes_train_what_one_trains(tmp_path):
    _launch(tmp_path / "two")
    ranks_worker.run(tmp_path / "one")
    for name in ("dti", "insar", "motion"):
        file = f"{name}/checkpoint-{ranks_worker.STEPS}.safetensors"
        one, two = load_file(tmp_path / "one" / file), load_file(tmp_path / "two" / file)
        assert one.keys() == two.keys()
        for key, value in one.items():
            if key.startswith("model/"):
                torch.testing.assert_close(two[key], value, rtol=1e-6, atol=1e-6)
        assert sorted(p.name for p in (tmp_path / "two" / name).iterdir()) == sorted(
            p.name for p in (tmp_path / "one" / name).iterdir()
        )


def test_alone_nothing_changes():
    assert ranks.count() == 1 and ranks.rank() == 0 and ranks.launched_rank() == 0
    assert ranks.mean_count(torch.tensor(0.0)) == 1
    assert ranks.average_figures({"loss": 2.0}, torch.device("cpu")) == {"loss": 2.0}


@pytest.mark.parametrize("variable", ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_a_launch_without_torchrun_is_refused(monkeypatch, variable):
    monkeypatch.setenv(variable, "4")
    with pytest.raises(MvnetError, match="processes: found 4 launched by"):
        ranks.count_launched()


def test_other_commands_are_refused_over_processes(monkeypatch, capsys):
    from mvnet.apps.main import run

    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    assert run(["optimizers"]) == 2
    assert "processes: found 2, expected one" in capsys.readouterr().err
