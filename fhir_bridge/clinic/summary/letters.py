"""Which font draws a text, and how wide it is: Helvetica, which every reader has; Vera, which comes with ReportLab, for what that lacks.

What neither has is drawn plainer (the letter without its accent) or as "?", and the page says so.
"""

from functools import cache, lru_cache
from unicodedata import normalize

from reportlab.pdfbase.pdfmetrics import registerFont, stringWidth
from reportlab.pdfbase.ttfonts import TTFont

PLAIN, BOLD = "Helvetica", "Helvetica-Bold"
_WIDER = {PLAIN: ("Vera", "Vera.ttf"), BOLD: ("VeraBd", "VeraBd.ttf")}
_ELLIPSIS = "…"


@lru_cache(2048)
def drawable(text: str, font: str) -> tuple[str, str, bool]:
    """`text` as it can be drawn, the font that draws it, and whether nothing of it was lost."""
    if _common(text):
        return text, font, True
    wider, glyphs = _wider(font)
    drawn = "".join(char if ord(char) in glyphs else _plainer(char, glyphs) for char in text)
    return drawn, wider, drawn == text


@lru_cache(4096)
def width(text: str, font: str, size: float) -> float:
    """How many points wide `text` is when drawn."""
    drawn, used, _ = drawable(text, font)
    return float(stringWidth(drawn, used, size))


def fit(text: str, room: float, font: str, size: float) -> str:
    """`text`, or as much of its start as fits into `room` points with "…" behind it."""
    if width(text, font, size) <= room:
        return text
    while text and width(text.rstrip() + _ELLIPSIS, font, size) > room:
        text = text[:-1]
    return text.rstrip() + _ELLIPSIS


def wrapped(text: str, room: float, font: str, size: float) -> list[str]:
    """`text` in lines of at most `room` points; a word too long for a line is cut."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}" if line else word
            if line and width(longer, font, size) > room:
                lines.append(line)
                longer = word
            line = fit(longer, room, font, size) if longer is word else longer
        lines.append(line)
    return [line for line in lines if line]


def _common(text: str) -> bool:
    """Can Helvetica's encoding (WinAnsi) write it?"""
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return text.isprintable()


@cache
def _wider(font: str) -> tuple[str, frozenset[int]]:
    found = TTFont(*_WIDER[font])
    registerFont(found)
    return found.fontName, frozenset(code for code in found.face.charToGlyph if 0x20 <= code < 0xFB00)


def _plainer(char: str, glyphs: frozenset[int]) -> str:
    base = normalize("NFKD", char)[:1]
    return base if base and ord(base) in glyphs and base.isalnum() else "?"
