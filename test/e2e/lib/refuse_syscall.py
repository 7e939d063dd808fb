#!/usr/bin/python3
"""refuse_syscall.py [--kill] NUMBER COMMAND…: run COMMAND where system call NUMBER fails with EPERM, or kills the
process that makes it.

As a service manager's filter does (systemd's SystemCallFilter=).  The filter is inherited by all children.
"""
import ctypes
import os
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2  # prctl(2)
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06                        # linux/bpf_common.h
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000               # linux/seccomp.h
EPERM = 1


def refuse(number, answer):
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in (
        (LOAD, 0, 0, 0),  # seccomp_data.nr
        (JUMP_IF_EQUAL, 0, 1, number),
        (RETURN, 0, 0, answer),
        (RETURN, 0, 0, ALLOW)))
    code = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]

    libc = ctypes.CDLL(None, use_errno=True)
    filter_ = Program(len(program) // 8, ctypes.addressof(code))
    for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filter_), 0, 0)):
        if libc.prctl(*call) != 0:
            raise OSError(ctypes.get_errno(), f"prctl {call[0]}")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    kill = arguments[0] == "--kill"
    number, *command = arguments[kill:]
    refuse(int(number), KILL if kill else ERRNO | EPERM)
    os.execvp(command[0], command)
