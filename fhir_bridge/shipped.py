"""Where the data lies that stands at the top of a checkout and travels in the wheel."""

from pathlib import Path


def folder(name: str, place: str) -> Path:
    """What the wheel carries inside the package as `_<name>`; in a checkout `place`, as it stands there."""
    package = Path(__file__).parent
    installed = package / f"_{name}"
    return installed if installed.is_dir() else package.parent / place
