"""One framework in a process of its own: `worker.py PEER THREADS`.

It reads requests, one JSON object a line, `{"workload": 0, "seconds": 1.0}`, and answers
each with the times of single training steps, in milliseconds, or with an error. What is
compiled for a workload stays, so that it can be measured again.
"""

import json
import os
import sys
import time

from workloads import WORKLOADS


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
        answer({"ready": True})
    except Exception as error:  # Most likely it is not installed.
        answer({"error": f"{type(error).__name__}: {error}"})
        return
    steps = {}
    for line in sys.stdin:
        request = json.loads(line)
        number = request["workload"]
        try:
            if number not in steps:
                steps[number] = prepare(WORKLOADS[number])
            answer({"ms": measure(steps[number], request["seconds"])})
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})


def measure(step, seconds):
    """Times of single steps: at least five after three that warm up."""
    for number in range(3):
        step(number)
    times = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        begun = time.perf_counter()
        step(3 + len(times))
        times.append((time.perf_counter() - begun) * 1e3)
    return times


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
