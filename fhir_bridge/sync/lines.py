"""NDJSON: one JSON document a line, read one by one, so that a file of any length takes the memory of its longest line.

A line longer than a document may be is passed over piece by piece and told as refused; it never stands in memory as a whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from fhir_bridge import documents
from fhir_bridge.errors import Fault, Refused


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its number from 1 on, its bytes without the line's end, and the offset in the file where the next one begins."""

    number: int
    text: bytes
    end: int
    cut: bool = False

    def document(self) -> Any:
        """The document in the line; raises `Refused`."""
        if self.cut:
            raise Refused([Fault("", f"the line is longer than {documents.MAX_BYTES} bytes; send it in smaller documents")])
        return documents.loads(self.text)


def read(file: BinaryIO, *, number: int = 0, end: int = 0) -> Iterator[Line]:
    """The lines of `file` from where it stands, empty ones left out; `number` and `end` are those of the last line before."""
    longest = documents.MAX_BYTES + 2
    while text := file.readline(longest):
        number, end, cut = number + 1, end + len(text), False
        while not text.endswith(b"\n") and (more := file.readline(longest)):
            cut, end, text = True, end + len(more), more[-1:]
        if cut or text.strip():
            yield Line(number, b"" if cut else text.rstrip(b"\r\n"), end, cut)
