"""Memory that is free goes back to the system, and threads share their heaps."""

import subprocess
import sys

import pytest

from braggscope.app import memory

pytestmark = pytest.mark.skipif(memory._library() is None, reason="the C library is not glibc")

HEAPS = """
import ctypes, sys, tempfile, threading
from braggscope.app.memory import keep_few_heaps

if sys.argv[1] == "few":
    keep_few_heaps()
libc, threads = ctypes.CDLL(None), int(sys.argv[2])
gate = threading.Barrier(threads + 1)
def allocate():
    libc.free(ctypes.c_void_p(address(ctypes.c_size_t(100_000))))
    gate.wait()
    gate.wait()
address = libc.malloc
address.restype = ctypes.c_void_p
for _ in range(threads):
    threading.Thread(target=allocate).start()
gate.wait()
libc.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile() as file:
    stream = ctypes.c_void_p(libc.fopen(file.name.encode(), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(file.read().count(b"<heap nr="))
gate.wait()
"""

FREED = """
import ctypes
import psutil
from braggscope.app.memory import give_back

libc, me = ctypes.CDLL(None), psutil.Process()
libc.malloc.restype = ctypes.c_void_p
held = [libc.malloc(ctypes.c_size_t(8000)) for _ in range(20_000)]
for address in held:
    ctypes.memset(address, 1, 8000)
for address in held[:-1]:  # the last one lies on top
    libc.free(ctypes.c_void_p(address))
before = me.memory_info().rss
give_back()
print((before - me.memory_info().rss) / 1e6)
"""


def said(program: str, *words: str) -> float:
    """What a program of its own printed."""
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    return float(done.stdout)


def test_many_threads_share_few_heaps():
    threads = str(6 * memory.HEAPS)
    assert said(HEAPS, "few", threads) <= memory.HEAPS < said(HEAPS, "many", threads)


def test_free_memory_goes_back_to_the_system():
    assert said(FREED) > 100
