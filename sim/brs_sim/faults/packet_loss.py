"""Lost datagrams, without a network emulator: the kernel drops them at the receiving sockets.

A classic BPF filter that asks the kernel's random numbers is attached to each UDP socket of a
process, from outside, while it runs. Needs Linux 5.6 and the right to trace that process. What is
sent through shared memory cannot be lost, so DDS must use UDP.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

_PIDFD_GETFD = 438  # the same number on every architecture
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_INSTRUCTION = struct.Struct("HBBI")
_LOAD_WORD, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x35, 0x06
_RANDOM = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM
_WHOLE = 0xFFFFFFFF


def lose_packets(pid: int, share: float) -> int:
    """Have a running process lose so great a share of all datagrams that come to it.

    Args:
        pid: of the process. Sockets that it opens later are not affected.
        share: 0 to below 1; 0 mends.

    Returns:
        How many sockets it concerns.

    Raises:
        PermissionError: the system does not let us touch that process's sockets.
        ValueError: the share is out of range.
    """
    if not 0.0 <= share < 1.0:
        raise ValueError(f"a share of {share} of the packets cannot be lost")
    count = 0
    for theirs in _udp_sockets(pid):
        with theirs:
            if share > 0.0:
                _attach(theirs, share)
                count += 1
            else:
                count += _detach(theirs)
    return count


def _attach(theirs: socket.socket, share: float) -> None:
    program = (
        (_LOAD_WORD, 0, 0, _RANDOM),
        (_JUMP_IF_AT_LEAST, 0, 1, int(share * 2**32)),  # else skip one
        (_RETURN, 0, 0, _WHOLE),
        (_RETURN, 0, 0, 0),
    )
    code = ctypes.create_string_buffer(b"".join(_INSTRUCTION.pack(*line) for line in program))
    header = struct.pack("HL", len(program), ctypes.addressof(code))
    theirs.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, header)


def _detach(theirs: socket.socket) -> int:
    try:
        theirs.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
    except FileNotFoundError:  # it had none
        return 0
    return 1


def _udp_sockets(pid: int) -> Iterator[socket.socket]:
    """Our own handles of a process's UDP sockets."""
    library = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            if not _is_socket(entry):
                continue
            handle = library.syscall(_PIDFD_GETFD, process, int(entry.name), 0)
            if handle < 0:
                number = ctypes.get_errno()
                raise OSError(number, f"sockets of process {pid}: {os.strerror(number)}")
            found = socket.socket(fileno=handle)
            if found.family == socket.AF_INET and found.type == socket.SOCK_DGRAM:
                yield found
            else:
                found.close()
    finally:
        os.close(process)


def _is_socket(entry: Path) -> bool:
    try:
        return str(entry.readlink()).startswith("socket:")
    except FileNotFoundError:  # closed meanwhile
        return False
