"""A cluster of two nodes: builds run on both, and survive the loss of one."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from premask.schemas.job import Job

from tests.pipeline.sets import ROOT, files_of, run_build, start
from tests.pipeline.test_kill import wait_for_units

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes of one CPU each, on this machine."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    from ray.cluster_utils import Cluster

    store = 80 << 20
    with contextlib.redirect_stdout(io.StringIO()):
        cluster: Any = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 1, "object_store_memory": store},
        )
        try:
            node = cluster.add_node(num_cpus=1, object_store_memory=store)
            cluster.wait_for_nodes()
            yield cluster, node
        finally:
            cluster.shutdown()


def test_a_build_survives_the_loss_of_a_node(
    cluster: Any, values: dict[str, Any], tmp_path: Path
) -> None:
    running, node = cluster
    values = {**values, "unit_bytes": 300, "engine": "ray"}
    job_file = tmp_path / "job.yaml"
    job_file.write_text(yaml.safe_dump(values))
    process = start("build", str(job_file), RAY_ADDRESS=running.address)
    wait_for_units(tmp_path / "out", 10, process)
    running.remove_node(node, allow_graceful=False)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert out.count("\n") == 1  # the summary, and not the log of the lost node
    expected = Job.model_validate(
        {**values, "engine": "local", "output": str(tmp_path / "expected")}
    )
    run_build(expected)
    assert files_of(tmp_path / "out") == files_of(expected.output)
