"""Draw the comparison as a picture: per cent of the FMA peak, which is a line."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers.results import Results


def save(results: Results, path: Path) -> None:
    """Write a picture with one panel for each number of threads, a group of bars for each network.

    The height of a bar is that of the minimum of the times, and its dark part that of the median.

    Raises
    ------
    ValueError
        If nothing was measured.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    comparisons = [comparison for comparison in results.comparisons if comparison.timed]
    if not comparisons:
        raise ValueError("nothing was measured, there is nothing to plot")
    threads = sorted({comparison.threads for comparison in comparisons})
    engines = list(results.engines)
    width = 0.8 / len(engines)
    figure, panels = pyplot.subplots(
        len(threads), 1, figsize=(max(8, 2 + 1.6 * len(comparisons) / len(threads)), 4 * len(threads)),
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for panel, count in zip(panels[:, 0], threads, strict=True):
        shown = [comparison for comparison in comparisons if comparison.threads == count]
        for place, comparison in enumerate(shown):
            for timing in comparison.timed:
                index = engines.index(timing.engine)
                at = place + (index - (len(engines) - 1) / 2) * width
                for height, alpha in zip(comparison.percents(timing), (0.45, 1.0), strict=True):
                    panel.bar(at, height, 0.9 * width, color=f"C{index}", alpha=alpha)
        panel.axhline(100, color="black", linewidth=1)
        panel.text(len(shown) - 0.52, 101, "FMA limit", ha="right", va="bottom", fontsize=8)
        panel.set_xticks(range(len(shown)), [comparison.network for comparison in shown])
        panel.set_xlim(-0.5, len(shown) - 0.5)
        panel.set_ylim(0, max(108, 1.02 * panel.dataLim.y1))  # Winograd can pass the limit
        panel.set_ylabel("% of the FMA peak")
        panel.set_title(f"{count} thread{'s' if count > 1 else ''}")
    for index, engine in enumerate(engines):
        panels[0, 0].bar(0, 0, color=f"C{index}", label=engine)
    figure.legend(
        ncols=len(engines), fontsize=8, loc="outside upper center", frameon=False,
        title="more is faster; light: best time, dark: median", title_fontsize=9,
    )  # fmt: skip
    figure.savefig(path)
    pyplot.close(figure)
