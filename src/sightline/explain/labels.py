"""Words at boxes in a figure, kept inside their panel and off each other, as `draw` places them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.text import Text

from sightline.explain.draw import Rect, place

LOOK: dict[str, Any] = {"color": "white", "fontsize": 7, "va": "bottom", "ha": "left"}
PAD = 1.0
"""Points between a word and its background's edge."""


class Labels(Artist):
    """The labels of one panel, the last one the most important: it has the best place and lies on
    top. Where they have room is known only when the figure is drawn.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[tuple[float, ...], str, Any]] = []
        self.set_in_layout(False)
        self.set_zorder(4)  # over boxes and lines

    @staticmethod
    def of(axes: Axes) -> "Labels":
        """Those of a panel, which has none yet or has them."""
        known = [one for one in axes.artists if isinstance(one, Labels)]
        if known:
            return known[0]
        own = Labels()
        axes.add_artist(own)
        return own

    def add(self, box: Sequence[float], text: str, shade: Any) -> None:
        """A word on a ground of this colour, at a box in the panel's own coordinates."""
        self.rows.append((tuple(box), text, shade))

    def draw(self, renderer: RendererBase) -> None:
        """Draw them where they cover each other least."""
        words = [(self._word(text, shade), box) for box, text, shade in self.rows]
        taken: list[Rect] = []
        for word, box in reversed(words):
            self._put(word, box, renderer, taken)
        for word, _ in words:
            word.draw(renderer)

    def _word(self, text: str, shade: Any) -> Text:
        word = Text(0, 0, text, **LOOK)
        word.set_bbox({"facecolor": shade, "edgecolor": "none", "pad": PAD})
        word.set_figure(self._whole())
        return word

    def _whole(self) -> Figure:
        figure = self.get_figure(root=True)
        assert isinstance(figure, Figure)
        return figure

    def _put(
        self, word: Text, box: tuple[float, ...], renderer: RendererBase, taken: list[Rect]
    ) -> None:
        """Pixels are counted from the panel's upper left corner, as an image's are."""
        assert isinstance(self.axes, Axes)
        panel, pad = self.axes.get_window_extent(), PAD * self._whole().dpi / 72
        size = width, height = round(panel.width), round(panel.height)
        corners = [(box[0] - 0.5, box[1] - 0.5), (box[2] - 0.5, box[3] - 0.5)]
        (x1, y1), (x2, y2) = np.asarray(self.axes.transData.transform(corners)).tolist()
        left, right = (min(max(round(x - panel.x0), 0), width - 1) for x in (x1, x2))
        top, bottom = (min(max(round(panel.y1 - y), 0), height - 1) for y in (y1, y2))
        extent = word.get_window_extent(renderer)
        label = round(extent.width + 2 * pad), round(extent.height + 2 * pad)
        spot = place((left, top, right, bottom), label, size, taken)
        taken.append(spot)
        word.set_position((panel.x0 + spot[0] + pad, panel.y1 - spot[3] + pad))
