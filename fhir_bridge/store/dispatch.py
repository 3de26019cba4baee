"""Work carried to any number of worker processes, on PostgreSQL, by Procrastinate: a job says only "drain this lane".

The truth stays in our tables. A job is a wake-up call: it is given within the transaction that makes the lane due, so both are
committed or neither; whoever takes it leases the lane like any other worker. A call that is lost, or whose worker died, costs
time only: one worker at a time, when it starts and every `SWEEP_SECONDS`, gives a call for each lane that is due and has none.

No Procrastinate `lock`: the lease is the lock, and a second one, held by a dead worker, would have to be found and broken.
`queueing_lock`: at most one call waits per lane.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor

import psycopg
from procrastinate import App, PsycopgConnector, exceptions, jobs
from sqlalchemy import make_url

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.store import on_postgresql
from fhir_bridge.store.database import Transaction, Unavailable

QUEUE = "lanes"
TICKS = "ticks"
SWEEP_SECONDS = 5
TICK_SECONDS = 5  # between two looks at the schedule, by one of all schedulers
AT_ONCE = 2000  # calls a sweep gives
DEAD_SECONDS = 120  # without a sign of life (every 10 s, none in its last call), a worker's jobs are nobody's
PATIENCE_SECONDS = 2.0  # before a database that went away is asked again
LOOK_SECONDS = 0.2  # between two looks at whether to stop

log = logging.getLogger(__name__)

Lane = tuple[str, str, str]  # tenant, hospital, lane
Drain = Callable[[Lane], object]
Due = Callable[[int], list[Lane]]  # at most so many lanes that are due


class Dispatch:
    """The calls of one database. Making one opens no connection; `call` uses the caller's, `run` its own."""

    def __init__(self, url: str) -> None:
        self._conninfo = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._calls = self._app()

    def call(self, tx: Transaction, lane: Lane) -> bool:
        """Have the lane drained once `tx` is committed; False when a call is waiting already, which will see what `tx` stores.

        The caller holds the lane's row: so the waiting call, should it be taken now, waits for the commit.
        """
        try:
            with tx.connection.begin_nested():  # a call that waits is a unique violation, which must not end the transaction
                self._calls.configure_task("drain", queue=QUEUE, queueing_lock=_name(lane), connection=tx.driver).defer(lane=list(lane))
        except exceptions.AlreadyEnqueued:
            return False
        except exceptions.ConnectorException as error:
            raise Unavailable("the database took no call for the workers") from error
        return True

    def run(self, *, drain: Drain, due: Due, threads: int, stop: threading.Event) -> None:
        """Answer calls with `drain` on `threads` threads until `stop`; then what is in hand is finished.

        A database that went away is waited for. Raises `Refused` behind a pool, which would carry no call.
        """
        self._until(stop, lambda: _answering(_with_tasks(self._app(), drain, due), "sweep", queue=QUEUE, threads=threads, stop=stop))

    def tick(self, *, look: Callable[[], object], stop: threading.Event) -> None:
        """Until `stop`: now, and every `TICK_SECONDS`, one of all that do this, on any host, has `look` called. A look must be short.

        Raises `Refused` behind a pool.
        """
        self._until(stop, lambda: _answering(_with_tick(self._app(), look), "tick", queue=TICKS, threads=1, stop=stop))

    def _app(self) -> App:
        return App(connector=PsycopgConnector(conninfo=self._conninfo, min_size=1, max_size=4))

    def _until(self, stop: threading.Event, answering: Callable[[], Coroutine[object, object, None]]) -> None:
        while not stop.is_set():
            try:
                self._require_a_session()
                asyncio.run(answering())
            except (exceptions.ConnectorException, psycopg.Error) as error:
                log.warning("the database of calls is away: %s", type(error).__name__)
            stop.wait(PATIENCE_SECONDS)

    def _require_a_session(self) -> None:
        with psycopg.connect(self._conninfo) as connection:
            if on_postgresql.is_pooled(connection):
                raise Refused([Fault("database", "a pool is between, and calls come by LISTEN: name PostgreSQL's own address here")])


def _with_tasks(app: App, drain: Drain, due: Due) -> App:
    @app.task(name="drain", queue=QUEUE)
    def answer(lane: list[str]) -> None:
        drain((lane[0], lane[1], lane[2]))

    @app.periodic(cron=f"* * * * * */{SWEEP_SECONDS}")
    @app.task(name="sweep", queue=QUEUE, queueing_lock="sweep", priority=1)
    async def sweep(timestamp: int) -> None:
        await _forget_the_dead(app, QUEUE)
        await _call_all(app, await asyncio.to_thread(due, AT_ONCE))

    return app


def _with_tick(app: App, look: Callable[[], object]) -> App:
    @app.periodic(cron=f"* * * * * */{TICK_SECONDS}")
    @app.task(name="tick", queue=TICKS, queueing_lock="tick")
    async def tick(timestamp: int) -> None:
        await _forget_the_dead(app, TICKS)
        await asyncio.to_thread(look)

    return app


async def _answering(app: App, first: str, *, queue: str, threads: int, stop: threading.Event) -> None:
    """From the task `first` on until `stop`, or until the worker ends by itself, because its database went away."""
    with ThreadPoolExecutor(threads + 1, thread_name_prefix="lane") as pool:  # one for the sweep
        asyncio.get_running_loop().set_default_executor(pool)
        async with app.open_async():
            with contextlib.suppress(exceptions.AlreadyEnqueued):  # who starts after a crash need not wait for the clock
                await app.tasks[first].defer_async(timestamp=int(time.time()))
            worker = asyncio.create_task(
                app.run_worker_async(
                    queues=[queue],
                    concurrency=threads,
                    delete_jobs="always",
                    install_signal_handlers=False,
                    stalled_worker_timeout=DEAD_SECONDS,
                )
            )
            while not worker.done() and not stop.is_set():
                await asyncio.wait([worker], timeout=LOOK_SECONDS)
            worker.cancel()  # it takes no further call, and ends when those in hand have
            with contextlib.suppress(asyncio.CancelledError):
                await worker


async def _forget_the_dead(app: App, queue: str) -> None:
    """A dead worker's jobs are dropped: their lanes are due again when the lease is over, and then called anew."""
    for job in await app.job_manager.get_stalled_jobs(queue=queue, seconds_since_heartbeat=DEAD_SECONDS):
        with contextlib.suppress(exceptions.ConnectorException):  # it lives after all, and has ended the job
            await app.job_manager.finish_job(job, jobs.Status.ABORTED, delete_job=True)


async def _call_all(app: App, lanes: list[Lane]) -> None:
    waiting = {job.queueing_lock for job in await app.job_manager.list_jobs_async(queue=QUEUE, status="todo")}
    calls = [
        app.tasks["drain"].configure(queueing_lock=_name(lane)).make_new_job(lane=list(lane))
        for lane in lanes
        if _name(lane) not in waiting
    ]
    for some in (calls[start : start + 100] for start in range(0, len(calls), 100)):
        try:
            await app.job_manager.batch_defer_jobs_async(some)
        except exceptions.AlreadyEnqueued:  # one of them was called meanwhile
            for call in some:
                with contextlib.suppress(exceptions.AlreadyEnqueued):
                    await app.job_manager.defer_job_async(call)


def _name(lane: Lane) -> str:
    return "/".join(lane)
