"""A real IMAP server on a port of this machine, with one empty mailbox."""

from __future__ import annotations

import contextlib
import imaplib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.trials import any_port, eventually

USER, WORD = "bounces", "prova"


@contextmanager
def imap_server() -> Iterator[int]:
    """Serve it; gives the port."""
    port = any_port()
    command = [sys.executable, "-P", "-c", "import sys; from pymap.main import main; sys.exit(main())"]
    options = ["--host", "127.0.0.1", "--port", str(port), "dict", "--demo-user", USER, "--demo-password", WORD]
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command, *options], stderr=subprocess.DEVNULL)

    def answers() -> bool:
        with contextlib.suppress(OSError, imaplib.IMAP4.error), signed_in(port):
            return True
        return False

    try:
        eventually(answers)
        yield port
    finally:
        process.kill()
        process.wait()


@contextmanager
def signed_in(port: int) -> Iterator[imaplib.IMAP4]:
    """A mail program of somebody who reads that mailbox."""
    with imaplib.IMAP4("127.0.0.1", port, timeout=10) as server:
        server.login(USER, WORD)
        server.select("INBOX")
        yield server
