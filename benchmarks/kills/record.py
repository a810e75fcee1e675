"""What happened, as a line of the log for each kill, and as a table by kind."""

import time
from collections import Counter
from dataclasses import dataclass, field
from io import TextIOBase
from pathlib import Path
from statistics import median

KINDS = ("driver", "worker", "node", "MLflow", "full disk")


@dataclass
class Record:
    """Kills and violations so far; everything is printed, and in the log, as soon as it has happened."""

    log: TextIOBase
    kills: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    violations: list[tuple[str, str]] = field(default_factory=list)  # kind or search, and what is wrong

    def say(self, line: str) -> None:
        """A line with the time before it."""
        shown = f"{time.strftime('%H:%M:%S')}  {line}"
        print(shown, flush=True)
        self.log.write(f"{shown}\n")
        self.log.flush()

    def killed(self, kind: str, where: str, when: str, outcome: str, seconds: float | None) -> None:
        """A kill and what came of it.

        Args:
            where: the search.
            when: how far the search was.
            seconds: until the search was seen to go on; None when it did not need to.
        """
        self.kills[kind] += 1
        if seconds is not None:
            self.seconds.setdefault(kind, []).append(seconds)
        self.say(f"{where}  kill {self.kills.total():3}  {kind:9}  {when} -> {outcome}")

    def violation(self, where: str, what: str, evidence: Path) -> None:
        """Something was repeated, lost or doubled, or the search did not go on.

        Args:
            evidence: the folder that is kept.
        """
        self.violations.append((where, what))
        self.say(f"{where}  VIOLATION: {what}\n          all of it is kept in {evidence}")

    def table(self) -> str:
        """Kills by kind, how long the search then took to go on, and all violations."""
        lines = ["| killed | times | goes on after, median | longest |", "|---|---|---|---|"]
        for kind in KINDS:
            took = self.seconds.get(kind, [])
            times = f"{median(took):.1f} s | {max(took):.1f} s" if took else "– | –"
            lines.append(f"| {kind} | {self.kills[kind]} | {times} |")
        lines.append(f"| all | {self.kills.total()} | | |")
        found = [f"- {where}: {what}" for where, what in self.violations]
        return "\n".join([*lines, "", f"{len(found)} violations", *found])
