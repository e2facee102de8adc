"""``premask freeze``: from a dynamic set and a policy to a static set."""

from __future__ import annotations

from typing import Annotated

import typer
from premask._errors import RequestError
from premask.pipeline.commands.choose import choose_policy
from premask.pipeline.commands.guard import exit_on_terminate, guarded
from premask.pipeline.commands.summary import summary


@guarded
def freeze(
    shards: Annotated[str, typer.Argument(help="Directory or URL of a dynamic set.")],
    out: Annotated[str, typer.Argument(help="Directory or URL of the static set.")],
    policy: Annotated[str, typer.Option(help="Preset, or a YAML or JSON file.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a parameter, as rate=0.3."),
    ] = None,
    epochs: Annotated[
        int, typer.Option(min=1, max=65536, help="Masked copies of every row.")
    ] = 1,
    engine: Annotated[str | None, typer.Option(help="local or ray; default: local.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Ray workers; default: all cores.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="A running cluster; default: RAY_ADDRESS.")
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Drop what is there first.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    log: Annotated[
        str | None, typer.Option(metavar="FILE", help="Log with tracebacks.")
    ] = None,
    log_json: Annotated[
        str | None, typer.Option(metavar="FILE", help="JSON lines; - for stdout.")
    ] = None,
) -> None:
    """Write static shards: epochs 0 to K-1 of a policy over a dynamic set.

    Epoch E of the frozen set is, bit for bit, what the loader makes of the dynamic set.
    """
    from premask.pipeline.engine import Engine
    from premask.pipeline.freeze import freeze as run_freeze
    from premask.pipeline.local import LocalEngine
    from premask.pipeline.progress import reporting
    from premask.pipeline.ray_engine import RayEngine

    exit_on_terminate()
    engine = engine or ("ray" if workers or ray_address else "local")
    if engine not in ("local", "ray"):
        raise RequestError(f"expected local or ray, got {engine!r}", location="--engine")
    runner: Engine = LocalEngine()
    if engine == "ray":
        runner = RayEngine(
            workers=workers, address=ray_address, unit_timeout=6 * 3600, retries=2
        )
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
