"""Writes in order become steps: one transaction where the server has it, else batches of what does not need each other, else singles."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fhir_bridge import documents
from fhir_bridge.hospital.capabilities import Capabilities, SiteFile
from fhir_bridge.hospital.parts import Step, Write

_ALONE = ("match", "look-then-create", "patch", "delete")


def steps(groups: Iterable[Sequence[Write]], capabilities: Capabilities) -> tuple[Step, ...]:
    """The steps for `groups` of writes, referenced before referencing; a group refers to itself in a ring and stays whole."""
    if "transaction" in capabilities.system:
        return _transactions(groups, capabilities)
    writes = [write for group in groups for write in group]
    if "batch" in capabilities.system:
        return _batches(writes, capabilities)
    return tuple(_single(write, "the server takes no bundles") for write in writes)


def _single(write: Write, reason: str) -> Step:
    return Step("single", (write,), reason)


def _goes_alone(write: Write) -> bool:
    return write.verb in _ALONE or write.read_first


def _transactions(groups: Iterable[Sequence[Write]], capabilities: Capabilities) -> tuple[Step, ...]:
    """What must go alone goes before the bundle being filled, unless it needs something in it."""
    done: list[Step] = []
    filling: list[Write] = []
    load = _Load(capabilities.site)

    def close() -> None:
        if len(filling) == 1:
            done.append(_single(filling[0], "one write needs no bundle"))
        elif filling:
            done.append(Step("transaction", tuple(filling), "all or nothing in one call"))
        filling.clear()

    for group in groups:
        alone = [write for write in group if _goes_alone(write)]
        together = [write for write in group if not _goes_alone(write)]
        if together:
            if not load.takes(together):
                close()
                load = _Load(capabilities.site)
                load.takes(together)
            filling += together
        for write in alone:
            if set(write.needs) & {each.key for each in filling}:
                close()
                load = _Load(capabilities.site)
            done.append(_single(write, "it cannot go in the bundle: something has to be looked up first, or it is a patch"))
    close()
    return tuple(done)


def _batches(writes: Sequence[Write], capabilities: Capabilities) -> tuple[Step, ...]:
    """Wave by wave: entries of one batch may not refer to each other (FHIR R4, http.html#trules)."""
    done: list[Step] = []
    ordered = _with_waves(writes)
    for number in sorted({wave_ for wave_, _ in ordered}):
        members = [write for wave_, write in ordered if wave_ == number]
        done += [_single(write, "a patch or deletion, or matched first") for write in members if _not_in_batch(write)]
        done += _chunks([write for write in members if not _not_in_batch(write)], capabilities)
    return tuple(done)


def _with_waves(writes: Sequence[Write]) -> list[tuple[int, Write]]:
    """Each write with its wave: later than all it needs, and than an earlier write of the same resource."""
    last: dict[str, int] = {}
    placed = []
    for write in writes:
        number = max((last[key] + 1 for key in (*write.needs, write.key) if key in last), default=0)
        last[write.key] = number
        placed.append((number, write))
    return placed


def _not_in_batch(write: Write) -> bool:
    return write.verb in ("match", "patch", "delete") or write.read_first


def _chunks(writes: Sequence[Write], capabilities: Capabilities) -> list[Step]:
    chunks: list[list[Write]] = [[]]
    load = _Load(capabilities.site)
    for write in writes:
        if not load.takes([write]):
            load = _Load(capabilities.site)
            load.takes([write])
            chunks.append([])
        chunks[-1].append(write)
    return [
        Step("batch", tuple(chunk), "one call, each entry on its own") if len(chunk) > 1 else _single(chunk[0], "one write needs no bundle")
        for chunk in chunks
        if chunk
    ]


@dataclass
class _Load:
    """How full a bundle is."""

    site: SiteFile
    entries: int = 0
    size: int = 0  # bytes

    def takes(self, writes: Sequence[Write]) -> bool:
        """Count `writes` in, if they fit; an empty bundle takes anything, since a ring larger than the limit still goes whole."""
        entries, size = self.entries + len(writes), self.size + sum(_size(write) for write in writes)
        if self.entries and (entries > self.site.entries_per_call or size > self.site.bytes_per_call):
            return False
        self.entries, self.size = entries, size
        return True


def _size(write: Write) -> int:
    return len(documents.dumps(write.resource)) + 400  # bytes; the entry around it
