"""Who listens to whom on this machine, as the kernel has it."""

from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

_LISTENING = "0A"


def listening(pid: int) -> list[tuple[str, int]]:
    """Address and port of every socket at which a process waits for connections; IPv4 in IPv6 as the former."""
    files = set(_files(pid))
    return [(address, port) for address, port, inode in _sockets() if f"socket:[{inode}]" in files]


def listeners(port: int) -> list[str]:
    """Addresses at which anybody waits for connections to a port."""
    return [address for address, number, _ in _sockets() if number == port]


def _sockets() -> Iterator[tuple[str, int, str]]:
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            row = line.split()
            if row[3] == _LISTENING:
                address, _, port = row[1].partition(":")
                yield _readable(address), int(port, 16), row[9]


def _readable(address: str) -> str:
    """The kernel prints 32-bit words in the machine's order, which is little-endian on everything here."""
    words = [bytes.fromhex(address[start : start + 8])[::-1] for start in range(0, len(address), 8)]
    found = ip_address(b"".join(words))
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def _files(pid: int) -> Iterator[str]:
    with suppress(OSError):  # the process may end, and its files be closed
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                yield str(link.readlink())
