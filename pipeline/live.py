"""The live display on a terminal: a bar, the figures, and where the workers' time goes."""

from __future__ import annotations

from types import TracebackType

from premask.pipeline.progress import Event
from premask.pipeline.tally import Tally, clock, short
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text


class LiveReporter:
    """Redraws itself four times a second between ``__enter__`` and ``__exit__``."""

    def __init__(self, console: Console | None = None) -> None:
        self._tally: Tally | None = None
        self._console = console or Console(stderr=True)
        self._live = Live(
            get_renderable=self._draw,
            console=self._console,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
        )

    def __enter__(self) -> LiveReporter:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def tell(self, event: Event, tally: Tally, text: str = "", trace: str = "") -> None:
        """Takes the figures; a traceback is for the log, not for the display."""
        del trace
        self._tally = tally
        if text:
            style = {"retry": "yellow", "failed": "red"}.get(event, "")
            self._console.print(Text(text, style=style))

    def _draw(self) -> RenderableType:
        return Text("") if self._tally is None else draw(self._tally)


def draw(tally: Tally) -> RenderableType:
    """The display for these figures."""
    complete = tally.skipped_bytes + tally.done_bytes
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        ProgressBar(total=max(tally.num_bytes, 1), completed=complete, width=40),
        f"{complete / max(tally.num_bytes, 1):4.0%}",
        Text(f"{clock(tally.seconds)} gone, {clock(tally.seconds_left)} left", style="dim"),
    )
    table = Table.grid(padding=(0, 2))
    for _ in range(6):
        table.add_column(no_wrap=True)
    table.add_row(
        _cell("units", f"{tally.skipped + tally.done}/{tally.num_units}"),
        _cell("documents", short(tally.documents)),
        _cell("tokens", short(tally.tokens)),
        _cell("tokens/s", short(tally.tokens_per_second)),
        _cell("rejected", short(tally.rejected), "yellow" if tally.rejected else ""),
        _cell("failed", str(tally.failed), "red" if tally.failed else ""),
    )
    shares = "  ".join(f"{name} {share:.0%}" for name, share in tally.shares().items())
    return Group(bar, table, Text(shares, style="dim"))


def _cell(name: str, value: str, style: str = "") -> Text:
    return Text.assemble((value, f"bold {style}".strip()), " ", (name, "dim"))
