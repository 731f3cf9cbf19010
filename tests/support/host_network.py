"""Hosts with a network of their own on this machine: namespaces, joined by wires.

Each host has two wires to this one: by the first it is asked and asks the provider, by
the second it reaches the stores. Taking the second one down is a partition: packets
vanish, nobody is told. Servers of the tests listen on loopback only, so forwarders
stand at two addresses that the hosts have routes to.
"""

from __future__ import annotations

import os
import selectors
import shutil
import socket
import subprocess
import threading
from contextlib import suppress
from typing import Any, Self

__all__ = ["Host", "Namespace", "Network", "Plain", "namespaces_work"]


def _ip(*words: str) -> None:
    done = subprocess.run(
        ["ip", *words], capture_output=True, text=True, check=False, timeout=20
    )
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr}")


def namespaces_work() -> bool:
    """Tell whether this process may make network namespaces and wires."""
    if os.name != "posix" or os.geteuid() or shutil.which("ip") is None:
        return False
    name = f"lg{os.getpid() % 10_000}t"
    try:
        _ip("netns", "add", name)
        _ip("link", "add", f"{name}0", "type", "veth", "peer", "name", f"{name}1")
        _ip("link", "del", f"{name}0")
    except OSError:
        return False
    finally:
        with suppress(OSError):
            _ip("netns", "del", name)
    return True


class Plain:
    """A host that is only a group of processes: no network of its own."""

    address = "127.0.0.1"
    prefix: tuple[str, ...] = ()


class Namespace:
    """A network namespace with two wires; made by `Network`."""

    def __init__(self, network: Network, number: int) -> None:
        self._name = f"lg{os.getpid() % 10_000}n{number}"
        self._base = f"{network.head}.{8 * number}"
        self._places = network.provider_at, network.store_at
        self.prefix = ("ip", "netns", "exec", self._name)
        self.address = _plus(self._base, 2)

    def open(self) -> None:
        name = self._name
        _ip("netns", "add", name)
        _ip("-n", name, "link", "set", "lo", "up")
        for wire, place in enumerate(self._places):
            here, there = f"{name}h{wire}", f"{name}t{wire}"
            near = _plus(self._base, 4 * wire + 1)
            _ip("link", "add", here, "type", "veth", "peer", "name", there)
            _ip("link", "set", there, "netns", name)
            _ip("addr", "add", f"{near}/30", "dev", here)
            _ip("link", "set", here, "up")
            far = _plus(self._base, 4 * wire + 2)
            _ip("-n", name, "addr", "add", f"{far}/30", "dev", there)
            _ip("-n", name, "link", "set", there, "up")
            _ip("-n", name, "route", "add", f"{place}/32", "via", near)

    def close(self) -> None:
        for wire in (0, 1):
            with suppress(OSError):
                _ip("link", "del", f"{self._name}h{wire}")
        with suppress(OSError):
            _ip("netns", "del", self._name)

    def cut(self) -> None:
        """Partition it from the stores."""
        _ip("link", "set", f"{self._name}h1", "down")

    def heal(self) -> None:
        """End the partition."""
        _ip("link", "set", f"{self._name}h1", "up")


class Network:
    """Two hosts; namespaces where they can be made, else plain ones.

    Attributes:
        hosts: The hosts.
        real: Whether they have networks of their own.
    """

    def __init__(self, *, real: bool) -> None:
        self.real = real
        self.head = f"198.18.{os.getpid() % 250}"
        self.provider_at, self.store_at = f"{self.head}.100", f"{self.head}.101"
        self._forwarders: list[_Forwarder] = []
        made = [Namespace(self, number) for number in (0, 1)] if real else []
        self._made = made
        self.hosts: list[Host] = [*made] or [Plain(), Plain()]

    def __enter__(self) -> Self:
        if self.real:
            for place in (self.provider_at, self.store_at):
                _ip("addr", "add", f"{place}/32", "dev", "lo")
            for each in self._made:
                each.open()
        return self

    def __exit__(self, *_: object) -> None:
        for forwarder in self._forwarders:
            forwarder.close()
        for each in self._made:
            each.close()
        if self.real:
            for place in (self.provider_at, self.store_at):
                with suppress(OSError):
                    _ip("addr", "del", f"{place}/32", "dev", "lo")

    def provider(self, port: int) -> str:
        """Return where a port of this machine is, as the hosts see it."""
        return self._forward(self.provider_at, port)

    def store(self, port: int) -> str:
        """Return where a port is that a partition cuts off."""
        return self._forward(self.store_at, port)

    def _forward(self, address: str, port: int) -> str:
        if not self.real:
            return f"127.0.0.1:{port}"
        forwarder = _Forwarder(address, port)
        self._forwarders.append(forwarder)
        return f"{address}:{forwarder.port}"


Host = Plain | Namespace


def _plus(address: str, more: int) -> str:
    head, _, last = address.rpartition(".")
    return f"{head}.{int(last) + more}"


class _Forwarder:
    """Connections to one address go on to a port on loopback."""

    def __init__(self, address: str, target: int) -> None:
        self._target = target
        self._listener = socket.create_server((address, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        target = ("127.0.0.1", self._target)
        with near, suppress(OSError), socket.create_connection(target) as far:
            self._open |= {near, far}
            try:
                _pump({near: far, far: near})
            finally:
                self._open -= {near, far}


def _pump(ways: dict[socket.socket, socket.socket]) -> None:
    """Carry bytes both ways until either end closes."""
    with selectors.DefaultSelector() as ready:
        for each in ways:
            ready.register(each, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                source: Any = key.fileobj
                data = source.recv(65536)
                if not data:
                    return
                ways[source].sendall(data)
