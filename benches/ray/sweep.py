"""An object passed to an actor of Ray and changed there, for `nowire-bench refs --ray`.

Understands the orders of the benchmark's other processes, a JSON line each on
standard input, and answers on standard output. Ends Ray with itself when the
input ends.
"""

import json
import os
import sys
import time
from collections import Counter

import numpy
import ray

PAGE_BYTES = 4096
UNTIMED_CALLS = 16


@ray.remote
class Callee:
    def change(self, data, percent, filling):
        """Fills so much of the pages, then reads every byte.

        What comes out of the object store cannot be written, so it is copied
        where it is to be changed.
        """
        if percent:
            data = data.copy()
            data[: changed_bytes(len(data), percent)] = filling
        return int(data.view(numpy.uint64).sum())


def changed_bytes(size, percent):
    pages = -(-size // PAGE_BYTES)
    return min(-(-pages * percent // 100) * PAGE_BYTES, size)


def sum_of_equal(byte, size):
    return int.from_bytes([byte] * 8, "little") * (size // 8) % 2**64


def call(callee, size, percent, turn):
    turn %= 256
    filling = 255 - turn
    start = time.perf_counter_ns()
    reference = ray.put(numpy.full(size, turn, dtype=numpy.uint8))
    answer = ray.get(callee.change.remote(reference, percent, filling))
    took = time.perf_counter_ns() - start
    changed = changed_bytes(size, percent)
    wanted = (sum_of_equal(filling, changed) + sum_of_equal(turn, size - changed)) % 2**64
    if answer != wanted:
        raise RuntimeError("the callee changed something else")
    return took


def used_ns():
    """Processor time of this process and of all that Ray runs for it."""
    parents, times = {}, {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents[int(pid)] = int(fields[1])
        times[int(pid)] = int(fields[11]) + int(fields[12])
    ours = {os.getpid()}
    while True:
        more = {pid for pid, parent in parents.items() if parent in ours} - ours
        if not more:
            break
        ours |= more
    return sum(times.get(pid, 0) for pid in ours) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def run(callee, task, for_ms):
    size, percent = task["bytes"], task["work"]["Change"]["percent"]
    for turn in range(UNTIMED_CALLS):
        call(callee, size, percent, turn)
    counts, turn = Counter(), 0
    before, start = used_ns(), time.perf_counter_ns()
    while time.perf_counter_ns() - start < for_ms * 1_000_000:
        turn += 1
        counts[call(callee, size, percent, turn)] += 1
    elapsed = time.perf_counter_ns() - start
    return {
        "counts": sorted(counts.items()),
        "sum_ns": sum(ns * count for ns, count in counts.items()),
        "untimed": 0,
        "elapsed_ns": elapsed,
        "used": {"cpu_ns": used_ns() - before, "minor_faults": 0},
        "first_call_p50_ns": None,
    }


def say(answer):
    print(json.dumps(answer), flush=True)


def main():
    try:
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            object_store_memory=256 << 20,
            _node_ip_address="127.0.0.1",
            _temp_dir=sys.argv[1],
        )
        callee = Callee.remote()
        ray.get(callee.change.remote(numpy.zeros(8, dtype=numpy.uint8), 0, 0))
        say({"Ready": {"address": ray.__version__}})
        for line in sys.stdin:
            order = json.loads(line)["Run"]
            say({"Samples": run(callee, order["task"], order["for_ms"])})
    except Exception as error:
        say({"Failed": f"{type(error).__name__}: {error}"})
    finally:
        ray.shutdown()


main()
