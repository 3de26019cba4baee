"""The few strokes the page is drawn with, black and grey only; the one place that talks to ReportLab's canvas."""

from collections.abc import Sequence
from dataclasses import dataclass

from reportlab import rl_config
from reportlab.pdfgen.canvas import Canvas

from fhir_bridge.clinic.summary.letters import PLAIN, drawable, width

rl_config.useA85 = 0  # the page travels as base64: writing it as text first would make it a quarter larger, and slower

_DASHES: dict[str, list[float]] = {"solid": [], "dashed": [4, 2], "dotted": [1, 1.6]}
_SHAPES = {
    "up": ((-1, -0.9), (1, -0.9), (0, 1)),
    "down": ((-1, 0.9), (1, 0.9), (0, -1)),
    "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "diamond": ((-1.2, 0), (0, 1.2), (1.2, 0), (0, -1.2)),
    "right": ((-1, 1), (1, 0), (-1, -1)),
}


@dataclass(slots=True)
class Paper:
    """One page; `lossy` once a letter could not be drawn as it is. What the pen is set to is remembered, not said again."""

    canvas: Canvas
    lossy: bool = False
    pen: tuple[str, float, float] = ("", -1, -1)
    ground: float = -1
    font: tuple[str, float] = ("", 0)

    def text(self, x: float, y: float, text: str, size: float, *, font: str = PLAIN, align: str = "left", white: bool = False) -> None:
        """`text` on one line, starting, centred or ending at `x`; its baseline at `y`."""
        if not text:
            return
        drawn, used, whole = drawable(text, font)
        self.lossy |= not whole
        x -= {"left": 0.0, "center": 0.5, "right": 1.0}[align] * (width(text, font, size) if align != "left" else 0)
        self._fill(1 if white else 0)
        self._font(used, size)
        self.canvas.drawString(x, y, drawn)

    def line(self, x1: float, y1: float, x2: float, y2: float, *, style: str = "solid", thin: bool = False, grey: float = 0) -> None:
        """A straight line."""
        self._pen(style, wide=0.4 if thin else 0.9, grey=grey)
        self.canvas.line(x1, y1, x2, y2)

    def path(self, points: Sequence[tuple[float, float]], *, style: str = "solid") -> None:
        """A line through all the points, of which there are two or more."""
        self._pen(style, wide=0.9)
        path = self.canvas.beginPath()
        path.moveTo(*points[0])
        for point in points[1:]:
            path.lineTo(*point)
        self.canvas.drawPath(path)

    def band(self, x: float, y: float, width: float, height: float, *, dark: bool) -> None:
        """The ground for a heading: black for what must not be overlooked."""
        self._fill(0 if dark else 0.9)
        self.canvas.rect(x, y, width, height, stroke=0, fill=1)

    def bar(self, x: float, y: float, width: float, height: float, *, grey: float) -> None:
        """A framed bar."""
        self._pen("solid", wide=0.4)
        self._fill(grey)
        self.canvas.rect(x, y, width, height, stroke=1, fill=1)

    def mark(self, shape: str, x: float, y: float, *, full: bool = True, size: float = 2.0) -> None:
        """A small sign centred at the point: up, down, square, diamond, right; a cross; an empty circle."""
        if shape == "circle":
            self._dot(x, y, 2 * size + 0.5, grey=0)
            self._dot(x, y, 2 * size - 0.5, grey=1)
            return
        self._pen("solid", wide=0.9 if shape == "cross" else 0.4)
        if shape == "cross":
            self.canvas.line(x - size, y - size, x + size, y + size)
            self.canvas.line(x - size, y + size, x + size, y - size)
            return
        self._fill(0 if full else 1)
        path = self.canvas.beginPath()
        corners = [(x + size * dx, y + size * dy) for dx, dy in _SHAPES[shape]]
        path.moveTo(*corners[0])
        for corner in corners[1:]:
            path.lineTo(*corner)
        path.close()
        self.canvas.drawPath(path, stroke=1, fill=1)

    def _dot(self, x: float, y: float, wide: float, *, grey: float) -> None:
        """A line of no length with round ends: shorter than the four curves of a circle."""
        self._pen("dot", wide=wide, grey=grey)
        self.canvas.line(x, y, x, y)

    def _pen(self, style: str, *, wide: float, grey: float = 0) -> None:
        if (style, wide, grey) == self.pen:
            return
        before, self.pen = self.pen, (style, wide, grey)
        if before[0] != style:
            self.canvas.setLineCap(1 if style == "dot" else 0)
            self.canvas.setDash(_DASHES.get(style, []))
        if before[1] != wide:
            self.canvas.setLineWidth(wide)
        if before[2] != grey:
            self.canvas.setStrokeGray(grey)

    def _font(self, name: str, size: float) -> None:
        if (name, size) != self.font:
            self.font = (name, size)
            self.canvas.setFont(name, size)

    def _fill(self, grey: float) -> None:
        if grey != self.ground:
            self.ground = grey
            self.canvas.setFillGray(grey)
