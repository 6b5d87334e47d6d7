"""The process in which a disk network is fine-tuned: progress and answer are lines of JSON."""

import json
import os
import sys

from braggscope.app.engine.disk_tuning import DiskTuning, Message, answer_of
from braggscope.app.engine.jobs import Context, Progress, Ticket, give_way
from braggscope.app.sources.channel import end_with_parent


def main() -> None:
    """Arguments: the job as JSON, and ``start`` or ``resume``."""
    end_with_parent()
    give_way()
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no message

    def say(message: Message) -> None:
        print(json.dumps(message), file=out, flush=True)

    def report(progress: Progress) -> None:
        say({"progress": [progress.done, progress.total, progress.note]})

    job = DiskTuning.parse(sys.argv[1])
    from braggscope.models.threads import use_one_thread

    use_one_thread()
    say(answer_of(job, sys.argv[2] == "resume", Context(Ticket(0), report)))


if __name__ == "__main__":
    main()
