"""One frame of a movie: picture, marks, colour bar, frame number, thresholds. Pillow, no Qt."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from braggscope.models.prepare import Prepared
from braggscope.models.render import BAD, LOG_SPAN, Scale, lut, render_rgb
from braggscope.models.results import PeakTable, Status

Colour = tuple[int, int, int]
GROUND, TEXT, MUTED = (16, 19, 23), (227, 231, 236), (151, 161, 173)
FIT, BRAGGNN, UNFITTED, HALO = (86, 193, 255), (255, 176, 0), (179, 186, 194), (8, 10, 12)
BAR_WIDTH, MARGIN, CAPTION = 14, 84, 46  # px


@dataclass(frozen=True, slots=True)
class OverlayStyle:
    """What is drawn and how. ``size``: px, aimed-at length of the long side of the picture."""

    levels: tuple[float, float]
    colormap: str = "inferno"
    scale: Scale = "linear"
    size: int = 768
    fit: bool = True
    braggnn: bool = True
    unfitted: bool = True


class OverlayPainter:
    """Paints frames of one shape; everything that does not change is painted once."""

    def __init__(self, shape: tuple[int, int], style: OverlayStyle) -> None:
        height, width = shape
        self.style = style
        longest = max(shape)
        self.zoom = max(1, style.size // longest)
        self.step = 1 if longest <= style.size else -(-longest // style.size)
        self.picture_size = (-(-width // self.step) * self.zoom, -(-height // self.step) * self.zoom)
        full = (self.picture_size[0] + MARGIN, self.picture_size[1] + CAPTION)
        self.size = (full[0] + full[0] % 2, full[1] + full[1] % 2)
        self._small = caption_font(11)
        self._table = lut(style.colormap)
        self._ground = self._paint_ground()

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Position in px of the movie of a position in px of the frame."""
        factor = self.zoom / self.step
        return (x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5

    def palette(self) -> NDArray[np.uint8]:
        """(N, 3) RGB, N <= 255: colours for all frames of this style, so that a GIF does not flicker."""
        lines = (
            GROUND,
            HALO,
            FIT,
            BRAGGNN,
            UNFITTED,
            tuple(int(v) for v in to_rgb(np.array([[BAD]], np.uint32))[0, 0]),
        )
        shades = np.linspace(0, 1, 17)[1:, None]
        text = [(np.array(GROUND) * (1 - shades) + np.array(end) * shades).round() for end in (TEXT, MUTED)]
        marks = np.concatenate([np.array(lines), *text]).astype(np.uint8)
        steps = np.linspace(0, 255, 255 - len(marks)).round().astype(int)
        return np.concatenate([marks, to_rgb(self._table[None, steps])[0]])

    def paint(self, prepared: Prepared, table: PeakTable, title: str, note: str) -> Image.Image:
        """(height, width) RGB picture of one frame with its marks, ``title`` and ``note`` below it."""
        canvas = self._ground.copy()
        canvas.paste(self._picture(prepared), (0, 0))
        draw = ImageDraw.Draw(canvas)
        self._marks(draw, table)
        self._scale_bar(draw)
        top = self.picture_size[1]
        room = self.size[0] - 16
        draw.text((8, top + 5), title, TEXT, fitting_font(title, 13, room))
        draw.text((8, top + 25), note, MUTED, fitting_font(note, 11, room))
        return canvas

    def _picture(self, prepared: Prepared) -> Image.Image:
        style = self.style
        rgb = render_rgb(
            prepared.image, prepared.mask, style.levels, self._table, scale=style.scale, step=self.step
        )
        picture = Image.fromarray(to_rgb(rgb))
        return picture.resize(self.picture_size, Image.Resampling.NEAREST) if self.zoom > 1 else picture

    def _marks(self, draw: ImageDraw.ImageDraw, table: PeakTable) -> None:
        largest = float(table["score"].max()) if len(table) else 1.0
        score = np.where(table.detected, table["score"], table["amplitude"])  # its own height
        length = 4 + 4 * np.log1p(score) / np.log1p(max(largest, 1e-9))
        reach = 3 + self.zoom  # px; keeps the core of a spot visible
        fitted = np.isfinite(table["x_fit"]) & (table["status"] == Status.OK)
        for i in range(len(table)):
            if table["status"][i] == Status.REJECTED:
                continue
            if fitted[i] and self.style.fit:
                x, y = self.place(table["x_fit"][i], table["y_fit"][i])
                _plus(draw, x, y, reach + 1, reach + 1 + float(length[i]))
            elif not fitted[i] and self.style.unfitted:
                x, y = self.place(table["col"][i], table["row"][i])
                _ring(draw, x, y, reach + 2, UNFITTED, square=True)
            if self.style.braggnn and np.isfinite(table["x_braggnn"][i]):
                x, y = self.place(table["x_braggnn"][i], table["y_braggnn"][i])
                _ring(draw, x, y, reach, BRAGGNN)

    def _scale_bar(self, draw: ImageDraw.ImageDraw) -> None:
        factor = self.zoom / self.step
        length = next(
            (n for n in (500, 200, 100, 50, 20, 10, 5, 2, 1) if n * factor <= self.picture_size[0] / 4), 1
        )
        y, width = self.picture_size[1] - 14, round(length * factor)
        draw.rectangle((11, y - 1, 13 + width, y + 4), HALO)
        draw.rectangle((12, y, 12 + width, y + 3), TEXT)
        draw.text((12, y - 17), f"{length} px", TEXT, self._small, stroke_width=1, stroke_fill=HALO)

    def _paint_ground(self) -> Image.Image:
        canvas = Image.new("RGB", self.size, GROUND)
        height = self.picture_size[1] - 24
        ramp = np.round(np.linspace(255, 0, height)).astype(int)
        bar = to_rgb(np.repeat(self._table[ramp][:, None], BAR_WIDTH, axis=1))
        left = self.picture_size[0] + 10
        canvas.paste(Image.fromarray(bar), (left, 12))
        draw = ImageDraw.Draw(canvas)
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            y = 12 + (1 - share) * (height - 1)
            draw.line((left + BAR_WIDTH, y, left + BAR_WIDTH + 3, y), MUTED)
            draw.text((left + BAR_WIDTH + 6, y - 7), self._tick(share), MUTED, self._small)
        return canvas

    def _tick(self, share: float) -> str:
        low, high = self.style.levels
        if self.style.scale == "log":
            value = low + (high - low) * np.expm1(share * np.log1p(LOG_SPAN)) / LOG_SPAN
        elif self.style.scale == "sqrt":
            value = low + (high - low) * share**2
        else:
            value = low + (high - low) * share
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def to_rgb(rgb: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """(h, w) uint32 0xFFRRGGBB -> (h, w, 3) uint8."""
    shifts = np.array([16, 8, 0], np.uint32)
    return ((rgb[..., None] >> shifts) & 0xFF).astype(np.uint8)


def _plus(draw: ImageDraw.ImageDraw, x: float, y: float, gap: float, size: float) -> None:
    for colour, width in ((HALO, 4), (FIT, 2)):  # 2 px: MP4 keeps colours at half the resolution
        draw.line((x - size, y, x - gap, y), colour, width)
        draw.line((x + gap, y, x + size, y), colour, width)
        draw.line((x, y - size, x, y - gap), colour, width)
        draw.line((x, y + gap, x, y + size), colour, width)


def _ring(
    draw: ImageDraw.ImageDraw,
    x: float,
    y: float,
    r: float,
    colour: tuple[int, int, int],
    square: bool = False,
) -> None:
    shape = draw.rectangle if square else draw.ellipse
    shape((x - r - 1, y - r - 1, x + r + 1, y + r + 1), outline=HALO, width=4)
    shape((x - r, y - r, x + r, y + r), outline=colour, width=2)


def fitting_font(text: str, size: int, width: float) -> ImageFont.FreeTypeFont:
    """The largest font up to ``size`` px in which ``text`` is not wider than ``width`` px, at least 7 px."""
    fonts = (caption_font(height) for height in range(size, 7, -1))
    return next((font for font in fonts if font.getlength(text) <= width), caption_font(7))


@cache
def caption_font(size: int) -> ImageFont.FreeTypeFont:
    """A font that every installation has, ``size`` px."""
    import matplotlib

    return ImageFont.truetype(
        str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size
    )
