"""What happened, as the test knows it: every MTR that was written, which were acknowledged, where recoveries cut."""

from __future__ import annotations

from dataclasses import dataclass, field


class Violation(AssertionError):
    """A promise was broken."""


@dataclass
class Branch:
    """What one writer wrote, above what it recovered."""

    epoch: int
    # Where the writer before it was cut, and where this one began.
    end: int
    start: int
    # (LSN of the CPL, (page, value)s), rising.
    mtrs: list[tuple[int, list[tuple[int, int]]]] = field(default_factory=list)
    acknowledged: int = 0
    # Its writer's VDL.
    durable: int = 0
    # It finished when a later writer had begun already: it must never acknowledge anything.
    late: bool = False


class History:
    """The branches of all writers that finished a recovery, by epoch."""

    def __init__(self) -> None:
        self.branches: list[Branch] = []
        self.acknowledged = 0
        # Where writers began that were fenced off before they knew: a reader may stand there for a moment.
        self.late_starts: list[int] = []

    def opened(self, epoch: int, end: int, start: int) -> Branch:
        """A writer has recovered: check that nothing acknowledged is cut and no half MTR is kept."""
        if self.branches:
            last = self.branches[-1]
            if epoch == last.epoch:
                raise Violation(f"epoch {epoch} was opened twice")
            if epoch < last.epoch:
                self.late_starts.append(start)
                return Branch(epoch, end, start, late=True)
            if end < last.acknowledged:
                raise Violation(
                    f"epoch {epoch} recovered up to {end}, but {last.acknowledged} was acknowledged in {last.epoch}"
                )
            if end < last.start and end != last.end:
                raise Violation(f"epoch {epoch} recovered up to {end}, but {last.epoch} had opened with {last.end}")
            if end > last.start and end not in {lsn for lsn, _ in last.mtrs}:
                raise Violation(f"epoch {epoch} recovered up to {end}, which is inside an MTR of {last.epoch}")
            last.mtrs = [mtr for mtr in last.mtrs if mtr[0] <= end]
        branch = Branch(epoch, end, start)
        self.branches.append(branch)
        return branch

    def acknowledge(self, branch: Branch, lsn: int) -> None:
        """A client was told that this MTR is durable."""
        if branch.late:
            raise Violation(f"epoch {branch.epoch} acknowledged {lsn} though it was fenced off before it began")
        for later in self.branches:
            if later.epoch > branch.epoch and lsn > later.end:
                raise Violation(f"epoch {branch.epoch} acknowledged {lsn} after {later.epoch} had cut at {later.end}")
        branch.acknowledged = max(branch.acknowledged, lsn)
        self.acknowledged += 1

    def shown(self, epoch: int, lsn: int) -> None:
        """A reader shows the volume at this LSN."""
        if lsn not in self.cpls():
            raise Violation(f"reader stands at {lsn}, which no MTR ends at")
        for branch in self.branches:
            if branch.epoch == epoch and lsn > max(branch.start, branch.durable):
                raise Violation(f"reader stands at {lsn}, the VDL of epoch {epoch} is {branch.durable}")

    def wrote(self, branch: Branch, lsn: int, changes: list[tuple[int, int]]) -> None:
        """A writer put an MTR into its log. One that is over may still do so: that never counts."""
        if not branch.late and branch is self.branches[-1]:
            branch.mtrs.append((lsn, changes))

    def values(self, lsn: int) -> dict[int, int]:
        """Each page's value at an LSN, on the branches that count."""
        found: dict[int, int] = {}
        for branch in self.branches:
            for at, changes in branch.mtrs:
                if at > lsn:
                    return found
                found.update(changes)
        return found

    def cpls(self) -> list[int]:
        """Every LSN at which a consistent state ends."""
        ends = [lsn for branch in self.branches for lsn in (branch.start, *(at for at, _ in branch.mtrs))]
        return ends + self.late_starts
