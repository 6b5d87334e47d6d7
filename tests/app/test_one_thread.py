"""Networks compute on the thread that calls them: sums over two threads end in other last bits."""

import threading

import numpy as np
import pytest
import torch

from braggscope.app.engine.cdi_network import open_improver
from braggscope.app.engine.disk_tools import open_disk_network
from braggscope.app.engine.localizers import open_localizer, open_net
from braggscope.models.disks.results import Probe


def locate_by_braggnn():
    network = open_localizer("braggnn")
    network.locate(np.zeros((3, network.window, network.window), np.float32))


def locate_by_net():
    network = open_net("net")
    shape = (3, network.window, network.window)
    network.locate(np.ones(shape, np.float32), np.ones(shape, bool))


def find_disks():
    rows, columns = np.mgrid[-10:11, -10:11]
    disk = (np.hypot(rows, columns) < 6).astype(np.float32)
    probe = Probe(disk / disk.sum(), 6.0, 1.0, (32.0, 32.0))
    open_disk_network("disks").find(np.ones((1, 64, 64), np.float32), None, probe)


def improve():
    noise = np.random.default_rng(0).random((32, 32, 32), np.float32)
    open_improver("cdi")(noise, noise.astype(np.complex64))


@pytest.mark.parametrize("work", [locate_by_braggnn, locate_by_net, find_disks, improve])
def test_a_network_uses_one_thread_in_whichever_thread_it_is_called(work):
    seen = []

    def run():
        torch.set_num_threads(3)  # of this thread alone
        work()
        seen.append(torch.get_num_threads())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [1]
