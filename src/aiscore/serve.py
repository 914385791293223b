"""Run a server of a store: for the `ais serve` command, and for programs and tests that embed one.

with running(ServerSettings(home="/data/store", port=0)) as url:
    transport = open_transport(url)
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from aiscore.server.configure import load_settings
from aiscore.server.settings import PORT_DEFAULT, ServerSettings
from aiscore.server.sockets import bind, is_loopback, url_of

__all__ = ["PORT_DEFAULT", "ServerSettings", "is_loopback", "load_settings", "running", "serve"]


def serve(settings: ServerSettings, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, in this process or in `settings.workers` of them; main thread only.

    Args:
        settings: how to run.
        on_ready: called once with the URL, when requests are answered.

    Raises:
        AisError: the address, the home, the certificate or the access log cannot be used.
    """
    from aiscore.server.supervisor import run

    run(settings, on_ready)


@contextmanager
def running(settings: ServerSettings) -> Iterator[str]:
    """A server in a thread of this process, as long as the block runs; gives its URL. One worker.

    Raises:
        AisError: the address, the home, the certificate or the access log cannot be used.
    """
    from dataclasses import replace

    from aiscore.server.worker import Worker

    settings = replace(settings, workers=1)
    (listening,) = bind(settings)
    with listening:
        worker = Worker(settings, listening)
        is_up = Event()
        failed: list[BaseException] = []

        def work() -> None:
            try:
                worker.run(is_up.set)
            except BaseException as exc:
                failed.append(exc)
            finally:
                is_up.set()

        thread = Thread(target=work, name="ais-serve", daemon=True)
        thread.start()
        is_up.wait()
        try:
            if failed:
                raise failed[0]
            yield url_of(replace(settings, port=listening.getsockname()[1]))
        finally:
            worker.stop()
            thread.join()
