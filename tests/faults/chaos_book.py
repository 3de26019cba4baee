"""What rounds of random kills came to: a line of JSON a round, added up over as many runs as you like, and the bound they give."""

import json
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fhir_bridge.sandbox.ledger import Ledger


@dataclass(frozen=True)
class Round:
    """One round: what was killed, by kind of process, how many of those were at work, and what the ledger says."""

    database: str
    like: str
    seed: int
    number: int
    called: bool  # workers were called to their lanes, and did not look for work
    killed: dict[str, int]
    at_work: dict[str, int]
    accepted: int
    held: int
    stopped: dict[str, int]  # by reason
    faults: int
    seconds: float
    commit: str
    wrong: str = ""


@dataclass(frozen=True)
class Book:
    """The rounds of one database and one kind of hospital, kept in a file as they are played."""

    path: Path
    database: str
    like: str
    rounds: list[Round] = field(default_factory=list)

    @classmethod
    def opened(cls, path: Path, database: str, like: str) -> "Book":
        """The book with what `path` tells of this database and this kind of hospital."""
        path.parent.mkdir(parents=True, exist_ok=True)
        told = [Round(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []
        return cls(path, database, like, [each for each in told if (each.database, each.like) == (database, like)])

    def add(self, played: Round) -> None:
        self.rounds.append(played)
        with self.path.open("a") as lines:
            lines.write(json.dumps(asdict(played)) + "\n")

    def killed(self) -> int:
        return sum(sum(each.killed.values()) for each in self.rounds)

    def next_number(self, seed: int) -> int:
        return 1 + max((each.number for each in self.rounds if each.seed == seed), default=-1)

    def words(self) -> str:
        """All rounds added up, and what is wrong."""
        killed, at_work, stopped = (_sum([getattr(each, name) for each in self.rounds]) for name in ("killed", "at_work", "stopped"))
        count = {name: sum(getattr(each, name) for each in self.rounds) for name in ("accepted", "held", "faults", "called")}
        wrong = [f"round {each.number} of seed {each.seed}: {each.wrong}" for each in self.rounds if each.wrong]
        return "\n".join(
            [
                f"{self.database}, like {self.like}, {len(self.rounds)} rounds, workers called in {count['called']} of them, "
                f"seeds {_each(each.seed for each in self.rounds)}, commits {_each(each.commit for each in self.rounds)}",
                f"killed {killed['web']} web and {killed['worker']} workers, at work {at_work['web']} and {at_work['worker']}, "
                f"in {sum(each.seconds for each in self.rounds):.0f} s",
                f"accepted {count['accepted']}, held {count['held']}, stopped for a person {stopped.total()} {dict(stopped) or ''}, "
                f"faults met {count['faults']}",
                *(wrong or [f"lost 0, duplicated 0: {bound(at_work.total())}"]),
            ]
        )


def bound(at_work: int) -> str:
    """The rule of three: none in n trials bounds the rate below 3/n with 95 % confidence. A kill that met no work is no trial."""
    return f"below {300 / at_work:.2g} % of kills at work at 95 % confidence (rule of three)" if at_work else "nothing was killed at work"


def reasons(ledger: Ledger) -> dict[str, int]:
    return dict(Counter(ledger.stopped.values()))


def commit() -> str:
    """The version that is being killed; "+" when the code is not as committed."""
    said = subprocess.run(["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=False)
    return said.stdout.strip()


def _sum(counts: Sequence[dict[str, int]]) -> Counter[str]:
    return sum(map(Counter, counts), Counter[str]())


def _each(found: Iterable[object]) -> str:
    return ", ".join(sorted({str(each) for each in found}))
