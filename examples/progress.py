"""The progress of long jobs: a job goes on without its client, who sees where it is after coming back.

    python examples/progress.py             then open the address that it prints; reload the page while a job runs

A job lives in the nursery of the application, not in a handler's, nor in a connection's (`ctx.start_soon`), which would
end it with its client. Each job is a room: who watches it joins, gets its state as the acknowledgement, and is told
from then on. A page that was away watches again and has missed nothing that still matters. The page is
static/progress.html.
"""

import argparse
import logging
import signal
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe

import trio

from trio_socketio import Context, Server, StaticFiles

STATIC = Path(__file__).parent / "static"
MAX_STEPS = 1000
MAX_RUNNING, MAX_KEPT = 8, 50
"""Jobs that may run at the same time, and those that are remembered, the oldest that have ended being forgotten first."""
STEP = 0.1
"""Seconds that one step takes."""

logger = logging.getLogger("jobs")


@dataclass(slots=True)
class Job:
    """A job, running or ended."""

    id: str
    steps: int
    done: int = 0
    state: str = "running"
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    """What the job runs in, so that it can be cancelled."""

    def report(self) -> dict[str, object]:
        """Return what clients are told."""
        return {"id": self.id, "steps": self.steps, "done": self.done, "state": self.state}


def room_of(job: Job) -> str:
    """Return the room of those who watch a job; the prefix keeps it apart from the sids, which are rooms too."""
    return f"job:{job.id}"


def make_server(nursery: trio.Nursery) -> Server:
    """Return the server.

    Args:
        nursery: Where the jobs run.
    """
    server = Server(http=StaticFiles(STATIC))
    jobs: dict[str, Job] = {}

    async def run(job: Job) -> None:
        """Do the work, and tell those who watch."""
        try:
            with job.scope:
                while job.done < job.steps:
                    await trio.sleep(STEP)  # stands for real work; with a thread, trio.to_thread.run_sync
                    job.done += 1
                    # Volatile: the next report says more than this one. The last one, below, is not.
                    await server.emit("progress", job.report(), to=room_of(job), volatile=True)
        except Exception:
            logger.exception("the job %s failed", job.id)  # what is raised in a nursery would end everything in it
            job.state = "failed"
        else:
            job.state = "cancelled" if job.scope.cancelled_caught else "finished"
        await server.emit("progress", job.report(), to=room_of(job))

    def forget() -> None:
        """Let go of the oldest jobs that have ended."""
        for job in [job for job in jobs.values() if job.state != "running"][: max(0, len(jobs) - MAX_KEPT)]:
            del jobs[job.id]

    @server.on("start")
    async def start(ctx: Context, steps: object) -> dict[str, object]:
        if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= MAX_STEPS:
            return {"error": f"A job has 1 to {MAX_STEPS} steps."}
        if sum(job.state == "running" for job in jobs.values()) >= MAX_RUNNING:
            return {"error": f"{MAX_RUNNING} jobs are running. Try again later."}
        job = Job(token_urlsafe(9), steps)
        jobs[job.id] = job
        forget()
        await ctx.join_room(room_of(job))
        nursery.start_soon(run, job)
        return {"job": job.report()}

    @server.on("watch")
    async def watch(ctx: Context, job_id: object) -> dict[str, object]:
        job = jobs.get(str(job_id))
        if job is None:
            return {"error": "There is no such job any more."}
        await ctx.join_room(room_of(job))
        return {"job": job.report()}  # what happens after this comes as an event

    @server.on("unwatch")
    async def unwatch(ctx: Context, job_id: object) -> None:
        if (job := jobs.get(str(job_id))) is not None:
            await ctx.leave_room(room_of(job))

    @server.on("cancel")
    async def cancel(_ctx: Context, job_id: object) -> bool:
        """Cancel a job; whoever knows its id may do so. The acknowledgement says whether it was still running."""
        job = jobs.get(str(job_id))
        if job is None or job.state != "running":
            return False
        job.scope.cancel()
        return True

    return server


async def main(port: int) -> None:
    """Serve until Ctrl-C or SIGTERM; then end gracefully, and the jobs with it."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            (listener, *_) = await nursery.start(make_server(nursery).serve, "127.0.0.1", port)
            port = listener.socket.getsockname()[1]
            print(f"progress on http://127.0.0.1:{port}/progress.html (Ctrl-C ends it)", flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=3000, help="the port on 127.0.0.1 (default: %(default)s)")
    trio.run(main, parser.parse_args().port)
