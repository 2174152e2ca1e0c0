"""One framework in a process of its own: `worker.py PEER THREADS`.

It reads requests, one JSON object a line, `{"workload": 0, "seconds": 1.0}` or
`{"workload": 0, "steps": 1}`, and answers each with the times of single steps, in
milliseconds, and with what the process held in memory at most so far; or with an error.
What is compiled for a workload stays, so that it can be measured again.
"""

import json
import os
import sys
import time

from workloads import WORKLOADS, batches


def main():
    peer, threads = sys.argv[1], int(sys.argv[2])
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ[variable] = str(threads)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # Answers go to the standard output as it was; whatever a framework prints does not.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(value):
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    try:
        prepare = PEERS[peer](threads)
        answer({"peak_bytes": peak_bytes()})
    except Exception as error:  # Most likely it is not installed.
        answer({"error": f"{type(error).__name__}: {error}"})
        return
    prepared = {}
    for line in sys.stdin:
        request = json.loads(line)
        number = request["workload"]
        try:
            if number not in prepared:
                prepared[number] = Prepared(prepare, WORKLOADS[number])
            answer(prepared[number].measure(request))
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})


class Prepared:
    """A workload's model, and the samples that it is trained on."""

    def __init__(self, prepare, workload):
        begun = time.perf_counter()
        samples = batches(workload)
        self.about = {
            "generating_s": time.perf_counter() - begun,
            "sample_bytes": sum(array.nbytes for array in samples),
        }
        self.step = prepare(workload, *samples)

    def measure(self, request):
        if self.step is None:
            return {"absent": True}
        if "steps" in request:
            times = [self.time(number) for number in range(request["steps"])]
        else:
            times = self.steady(request["seconds"])
        return {"ms": times, "peak_bytes": peak_bytes(), **self.about}

    def steady(self, seconds):
        """Times of single steps: at least five after three that warm up."""
        for number in range(3):
            self.step(number)
        times = []
        end = time.perf_counter() + seconds
        while len(times) < 5 or time.perf_counter() < end:
            times.append(self.time(3 + len(times)))
        return times

    def time(self, number):
        begun = time.perf_counter()
        self.step(number)
        return (time.perf_counter() - begun) * 1e3


def peak_bytes():
    """What the process held at most, where the system tells it."""
    try:
        with open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        return None


def torch_eager(threads):
    import peer_torch

    return peer_torch.prepare(threads, compiled=False)


def torch_compiled(threads):
    import peer_torch

    return peer_torch.prepare(threads, compiled=True)


def jax(threads):
    import peer_jax

    return peer_jax.prepare(threads)


def keras(threads):
    import peer_keras

    return peer_keras.prepare(threads)


PEERS = {
    "torch": torch_eager,
    "torch.compile": torch_compiled,
    "jax": jax,
    "keras": keras,
}

if __name__ == "__main__":
    main()
