"""``premask freeze``: from a dynamic set and a policy to a static set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from premask._errors import RequestError
from premask.pipeline.commands import options
from premask.pipeline.commands.choose import choose_policy
from premask.pipeline.commands.guard import exit_on_terminate, guarded
from premask.pipeline.commands.summary import summary

if TYPE_CHECKING:
    from premask.pipeline.engine import Engine


@guarded
def freeze(
    shards: options.Dynamic,
    out: options.Static,
    policy: options.PolicyName,
    changes: options.Changes = None,
    epochs: options.Epochs = 1,
    engine: options.EngineName = None,
    workers: options.Workers = None,
    ray_address: options.RayAddress = None,
    restart: options.Restart = False,
    quiet: options.Quiet = False,
    log: options.Log = None,
    log_json: options.LogJson = None,
) -> None:
    """Write static shards: epochs 0 to K-1 of a policy over a dynamic set.

    Epoch E of the frozen set is, bit for bit, what the loader makes of the dynamic set.
    """
    from premask.pipeline.freeze import freeze as run_freeze
    from premask.pipeline.progress import reporting

    exit_on_terminate()
    runner = _engine(engine, workers, ray_address)
    with reporting(quiet=quiet, log=log, log_json=log_json) as reporter:
        built = run_freeze(
            shards,
            out,
            choose_policy(policy, changes or ()),
            epochs=epochs,
            engine=runner,
            reporter=reporter,
            restart=restart,
        )
    if log_json != "-":
        print(summary(built))


def _engine(name: str | None, workers: int | None, address: str | None) -> Engine:
    from premask.pipeline.engine import RETRIES, UNIT_TIMEOUT
    from premask.pipeline.local import LocalEngine
    from premask.pipeline.ray_engine import RayEngine

    name = name or ("ray" if workers or address else "local")
    if name not in ("local", "ray"):
        raise RequestError(f"expected local or ray, got {name!r}", location="--engine")
    if name == "local":
        return LocalEngine(retries=RETRIES)
    return RayEngine(
        workers=workers, address=address, unit_timeout=UNIT_TIMEOUT, retries=RETRIES
    )
