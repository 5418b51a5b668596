"""The reward curve as a picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def draw_curve(path: Path, rewards: Sequence[float], *, baseline: float | None, title: str) -> None:
    """Write a PNG of mean reward by step; ``baseline`` (reward before training) is a dashed line where known.

    Draws through Agg without pyplot, so that no display is needed and no global state is touched.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(range(1, len(rewards) + 1), rewards, marker="o", label="GRPO, mean reward of the step's episodes")
    if baseline is not None:
        axes.axhline(baseline, linestyle="--", color="grey", label=f"before training, same tasks: {baseline:.2f}")
    axes.set(xlabel="step", ylabel="mean reward", ylim=(-0.02, 1.02), title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(loc="best")
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure).print_png(str(path))  # type: ignore[no-untyped-call]
