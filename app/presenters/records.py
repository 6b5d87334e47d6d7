"""What whole-series runs have found, as far as it belongs to the open source."""

from __future__ import annotations

from collections.abc import Callable

from braggscope.app.engine.jobs import Context
from braggscope.app.engine.runs import RunKey, RunRecord, recall
from braggscope.app.presenters.desk import Desk
from braggscope.app.state.session import ParameterSet
from braggscope.models.parameters import Parameters


class RunRecords:
    """Records by the fingerprint of their parameters; earlier ones are looked up on disk when asked for.

    What a batch elsewhere has found belongs to one set alone, beside a run here with the same parameters.
    """

    def __init__(self, desk: Desk, changed: Callable[[], None]) -> None:
        self._desk = desk
        self._changed = changed
        self._records: dict[str, RunRecord] = {}
        self._own: dict[str, RunRecord] = {}  # of batches, by the key of their set
        self._asked: set[str] = set()

    def clear(self) -> None:
        """Another source is open."""
        self._records.clear()
        self._own.clear()
        self._asked.clear()

    def find(self, entry: ParameterSet) -> RunRecord | None:
        """The batch of a set, else a run with its parameters, if it is known already."""
        fingerprint, own = entry.parameters.fingerprint("all"), self._own.get(entry.key)
        if own is not None and own.key.fingerprint == fingerprint:
            return own
        return self._records.get(fingerprint)

    def bind(self, record: RunRecord, owner: str) -> None:
        """What a batch has found belongs to the set of key ``owner``."""
        self._own[owner] = record

    def release(self, owner: str) -> None:
        """A set has no batch any more."""
        self._own.pop(owner, None)

    def put(self, record: RunRecord) -> None:
        """Take a record in, unless it belongs to a source that is no longer open."""
        info = self._desk.info
        if info is not None and record.key.identity == info.identity:
            self._records[record.key.fingerprint] = record
            self._asked.add(record.key.fingerprint)

    def look_up(self, parameters: Parameters) -> None:
        """Look for an earlier run of these parameters on disk, once; ``changed`` follows if there is one."""
        info, fingerprint = self._desk.info, parameters.fingerprint("all")
        if info is None or fingerprint in self._asked:
            return
        self._asked.add(fingerprint)

        def run(context: Context) -> RunRecord | None:
            return recall(RunKey.of(info, parameters), info.frames, context)

        def found(record: RunRecord | None) -> None:
            if record is not None and fingerprint not in self._records:
                self.put(record)
                self._changed()

        self._desk.lanes.small.submit(run, found, on_error=self._desk.fail)
