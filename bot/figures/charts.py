"""Charts as SVG, drawn by pygal: no script, nothing from elsewhere; the page shows the figures beside. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pygal
from pygal.etree import etree
from pygal.style import Style

# pygal hangs a finder of an old kind into Python's imports, for maps that nobody draws here: each later import that
# fails (of something optional) would warn of it.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "PluginImportFixer"]
# Colours that people with any colour vision tell apart (Okabe and Ito), dark enough on white.
COLOURS = ("#0b5c8a", "#d55e00", "#009e73", "#7a4b94", "#a61b1b", "#5a6b7b", "#b8860b", "#1b2733")
WIDTH = 900
_FONT = "system-ui, 'Segoe UI', Roboto, 'Noto Sans', Arial, sans-serif"


def _style() -> Style:
    return Style(
        background="#ffffff", plot_background="#ffffff", foreground="#1b2733", foreground_strong="#1b2733",
        foreground_subtle="#5a6b7b", colors=COLOURS, font_family=_FONT, label_font_size=15, major_label_font_size=15,
        legend_font_size=16, value_font_size=15, title_font_size=18, opacity="1", opacity_hover="1", transition="0s",
    )  # fmt: skip


def stacked(labels: Sequence[str], series: Mapping[str, Sequence[int]]) -> bytes:
    """A column for each label, stacked of the series (days, and how questions ended)."""
    totals = [sum(values) for values in zip(*series.values(), strict=True)]
    chart = pygal.StackedBar(
        **_common(), height=400, margin_bottom=45, y_labels=_ticks(max(totals)) if totals else None
    )
    chart.x_labels = _thinned(labels)
    for name, values in series.items():
        chart.add(name, list(values))
    return _svg(chart)


def bars(values: Mapping[str, float], *, most: float | None = None) -> bytes:
    """A bar for each name, the first on top, its value behind the name; ``most``: where the scale ends."""
    shown = dict(reversed(list(values.items())))
    told = {name: f"{value:.4g}".replace(".", ",") for name, value in shown.items()}
    chart = pygal.HorizontalBar(
        **_common(), height=44 * len(shown) + 50, show_legend=False, show_x_labels=False,
        range=(0, most) if most else None,
    )  # fmt: skip
    chart.x_labels = [f"{name}: {told[name]}" for name in shown]
    chart.add("", list(shown.values()))
    return _svg(chart)


def _common() -> dict[str, Any]:
    return {
        "style": _style(), "width": WIDTH, "js": [], "legend_at_bottom": True, "legend_at_bottom_columns": 5,
        "show_y_guides": True, "truncate_label": 44, "margin": 12, "spacing": 6, "no_data_text": "–",
        "formatter": lambda value: f"{value:.0f}", "disable_xml_declaration": True,
    }  # fmt: skip


def _ticks(most: int) -> list[int]:
    """Whole numbers for an axis from 0 to at least ``most``: four to eight steps of 1, 2 or 5 times a power of ten."""
    step = next(n * 10**power for power in range(12) for n in (1, 2, 5) if n * 10**power * 8 >= most)
    return list(range(0, max(most, 1) + step, step))


def _thinned(labels: Sequence[str]) -> list[str]:
    """Long rows of days keep only so many labels as there is room for."""
    every = 1 + len(labels) * max(map(len, labels), default=0) // 80
    return [label if number % every == 0 else "" for number, label in enumerate(labels)]


def _svg(chart: Any) -> bytes:
    """The picture without what pygal adds for hovering: scripts, and the data in ``desc`` for them."""
    root = chart.render_tree()
    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag.rpartition("}")[2] in {"script", "desc"}:
                parent.remove(child)
    root.set("role", "img")
    text: bytes = etree.tostring(root, encoding="utf-8")
    return text
