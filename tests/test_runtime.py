"""The process is set up alike for a library user and for Kedro."""

import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from pointillist import runtime

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")


def test_the_library_sets_up_the_process_before_torch_is_there():
    code = (
        "import sys; from pointillist import runtime; import pointillist.diffusion; "
        "print(runtime.configure.cache_info().currsize, 'torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert result.stdout.split() == ["1", "False"]


@pytest.fixture
def three_threads(monkeypatch):
    """As on a machine with three cores."""
    monkeypatch.setattr(runtime, "_cores", lambda: 3)
    before = runtime.threads()
    runtime.use_threads(3)
    yield
    runtime.use_threads(before)


def test_threads_are_no_more_than_there_are_cores():
    before = runtime.threads()
    try:
        runtime.use_threads(10_000)
        assert runtime.threads() == len(os.sched_getaffinity(0))
        runtime.use_threads(1)
        assert runtime.threads() == 1
        # A part's operations are not shared out again.
        assert torch.get_num_threads() == 1
    finally:
        runtime.use_threads(before)


@pytest.mark.parametrize("n", [0, 1, 2, 50])
def test_parts_come_back_in_their_order_from_several_threads(three_threads, n):
    names, all_there = set(), threading.Barrier(min(3, n) or 1, timeout=60)

    def part(i):
        if i < 3 and n:
            all_there.wait()  # passes only if as many threads are at work at once
        names.add(threading.current_thread().name)
        return i * i

    assert runtime.parallel(part, range(n), CPU) == [i * i for i in range(n)]
    assert len(names) == min(3, n)


def test_parts_within_a_part_and_those_of_an_accelerator_stay_on_one_thread(three_threads):
    def names(device):
        return set(runtime.parallel(lambda _: threading.current_thread().name, range(20), device))

    assert all(len(found) == 1 for found in runtime.parallel(lambda _: names(CPU), range(6), CPU))
    assert names(torch.device("cuda")) == {threading.current_thread().name}


@pytest.mark.parametrize("bad", [0, 7, 19])
def test_what_a_part_raises_is_raised_and_no_thread_goes_on_or_is_lost(three_threads, bad):
    begun = []

    def part(i):
        begun.append(i)
        if i == bad:
            raise ValueError(f"part {i}")
        time.sleep(0.001)

    with pytest.raises(ValueError, match=f"part {bad}"):
        runtime.parallel(part, range(1000), CPU)
    assert len(begun) < bad + 50
    assert runtime.parallel(lambda i: i, range(5), CPU) == list(range(5))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_modes_of_the_caller_hold_in_every_thread(three_threads, mode):
    def modes(_):
        time.sleep(0.001)
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    with mode():
        expected = modes(0)
        assert set(runtime.parallel(modes, range(12), CPU)) == {expected}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process")
def test_a_child_process_has_threads_of_its_own(three_threads):
    runtime.parallel(abs, range(9), CPU)
    child = os.fork()
    if not child:
        os._exit(runtime.parallel(abs, range(9), CPU) != list(range(9)))
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives pages back")
def test_freed_memory_is_kept():
    """Otherwise each pass asks the system for its 3 x 2 x 128 pages anew."""
    import resource

    def page_faults():
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    def chain():
        h = torch.ones(1024, 128)
        for _ in range(3):
            h = torch.relu(h @ torch.eye(128))

    runtime.configure()
    for _ in range(5):
        chain()
    before = page_faults()
    for _ in range(20):
        chain()
    assert page_faults() - before < 20 * 3 * 128
