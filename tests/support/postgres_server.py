"""A PostgreSQL server of the tests' own, started on a free port and thrown away.

It runs with `fsync = off`: what is tested is the death of processes, after which the
kernel still has every write, and not the death of the machine.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

__all__ = ["PostgresServer", "find_postgres"]

_HASTY = ("fsync = off", "full_page_writes = off")
_SETTINGS = (
    "max_connections = 200",
    "shared_buffers = 32MB",
    "unix_socket_directories = ''",
    "listen_addresses = '127.0.0.1'",
    "log_min_messages = fatal",
    "autovacuum_naptime = 5s",
)
# `trust` spares each connection the milliseconds that a password takes; the tests of
# passwords use the users named here.
_ACCESS = """
host all barred 127.0.0.1/32 reject
host all careful 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
host replication all 127.0.0.1/32 trust
"""
_START = 30.0


def find_postgres() -> Path | None:
    """Return the directory with `initdb` and `postgres`, or None."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve().parent] if on_path else []
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    found += sorted(debian, key=lambda one: int(one.parent.name), reverse=True)
    for folder in found:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return None


class PostgresServer:
    """A running server; `url()` gives a new, empty schema of it."""

    def __init__(
        self, programs: Path, *, folder: Path | None = None, durable: bool = False
    ) -> None:
        self._programs = programs
        self._numbers = count(1)
        self._folder = Path(tempfile.mkdtemp(prefix="llmguard-pg-", dir=folder))
        self._account = _account()
        if self._account is not None:
            os.chown(self._folder, self._account.pw_uid, self._account.pw_gid)
        self.data = self._folder / "data"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", str(self.data), "-U", "tests", "-E", "UTF8",
                  "--locale=C", "--no-sync", "-A", "trust")  # fmt: skip
        (self.data / "pg_hba.conf").write_text(_ACCESS)
        with (self.data / "postgresql.conf").open("a") as file:
            file.write("\n".join(("", *_SETTINGS, *(() if durable else _HASTY), "")))

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.port = self.port or _free_port()
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self.data),
                 "-p", str(self.port)],
                stdout=log, stderr=log, **self._who(),
            )  # fmt: skip
        self._await(self.process, self.port)

    def stop(self, sign: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT in order, SIGQUIT as a crash would."""
        if self.process is not None:
            self.process.send_signal(sign)
            self.process.wait()
            self.process = None

    def restart(self, sign: signal.Signals = signal.SIGINT) -> None:
        """Stop it and start it on the same port."""
        self.stop(sign)
        self.start()

    def close(self) -> None:
        """Stop it and delete its files."""
        self.stop(signal.SIGQUIT)  # in order it would write all to the disk first
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def standby(self) -> Iterator[int]:
        """Run a replica that follows this server; gives its port."""
        data, port = self._folder / "standby", _free_port()
        self._run("pg_basebackup", "-d", self.place(), "-D", str(data), "-R",
                  "--checkpoint=fast", "--no-sync")  # fmt: skip
        process = subprocess.Popen(
            [str(self._programs / "postgres"), "-D", str(data), "-p", str(port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._who(),
        )  # fmt: skip
        try:
            self._await(process, port)
            yield port
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait()
            shutil.rmtree(data)

    @contextmanager
    def bouncer(self, mode: str) -> Iterator[int]:
        """Run PgBouncer before this server in a pool mode; gives its port."""
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            raise FileNotFoundError("pgbouncer")
        port, file = _free_port(), self._folder / "pgbouncer.ini"
        file.write_text(
            "[databases]\n"
            f"postgres = host=127.0.0.1 port={self.port} user=tests\n"
            "[pgbouncer]\nauth_type = any\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\npool_mode = {mode}\n"
            "default_pool_size = 5\nlogfile =\n"
        )
        process = subprocess.Popen(
            [program, "-q", str(file)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._who(),
        )  # fmt: skip
        try:
            self._await(process, port)
            yield port
        finally:
            process.kill()
            process.wait()

    def place(self, *, user: str = "tests", database: str = "postgres") -> str:
        """Return the URL of a database, without a schema."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def url(self) -> str:
        """Return the URL of a schema that nobody has used yet."""
        return f"{self.place()}?schema=s{next(self._numbers)}"

    def backends(self) -> list[int]:
        """Return the process ids of the sessions of clients."""
        rows = self.ask(
            "SELECT pid FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return [int(row[0]) for row in rows]

    def ask(self, sql: str, *, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement as the administrator."""
        import psycopg

        with psycopg.connect(self.place(database=database), autocommit=True) as one:
            found = one.execute(sql.encode())
            return found.fetchall() if found.description else []

    def _await(self, process: subprocess.Popen[bytes], port: int) -> None:
        end = time.monotonic() + _START
        while not self._answers(port):
            if process.poll() is not None or time.monotonic() > end:
                text = (self._folder / "log").read_text()
                raise RuntimeError(f"PostgreSQL did not start:\n{text}")
            time.sleep(0.02)

    @staticmethod
    def _answers(port: int) -> bool:
        import psycopg

        try:
            psycopg.connect(f"postgresql://tests@127.0.0.1:{port}/postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self._folder,
            **self._who(),
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")

    def _who(self) -> dict[str, object]:
        """PostgreSQL refuses to run as root, as tests in a container do."""
        if self._account is None:
            return {}
        return {
            "user": self._account.pw_uid,
            "group": self._account.pw_gid,
            "extra_groups": [],
        }


def _account() -> pwd.struct_passwd | None:
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("there is no user `postgres` or `nobody` to run PostgreSQL as")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
