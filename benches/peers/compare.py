"""Training steps of `nnc` beside those of other frameworks, interleaved in one run.

    python benches/peers/compare.py --nnc target/release/nnc --threads 2

In each round every framework that is installed trains every workload for a while, one after
the other, so that what disturbs the machine for a time disturbs all of them. Prints one
table: milliseconds a step (the median of all rounds), as multiples of the machine's
arithmetic limit, which `nnc bench` measures, and how much faster `nnc` is than the best.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from workloads import WORKLOADS

HERE = Path(__file__).parent
PEERS = ["torch", "torch.compile", "jax", "keras"]


def main():
    options = arguments()
    workers = start(options)
    chosen = [
        (number, workload)
        for number, workload in enumerate(WORKLOADS)
        if not options.only or any(word in workload.name for word in options.only)
    ]
    peer_times = {(number, peer): [] for number, _ in chosen for peer in workers}
    ours = {number: [] for number, _ in chosen}
    for _ in range(options.rounds):
        for number, workload in chosen:
            ours[number].append(bench(options, workload))
            for peer, worker in workers.items():
                answer = ask(worker, {"workload": number, "seconds": options.seconds})
                if "error" in answer:
                    print(f"{peer}, {workload.name}: {answer['error']}", file=sys.stderr)
                else:
                    peer_times[number, peer].extend(answer["ms"])
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    table(chosen, list(workers), ours, peer_times)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nnc", default="target/release/nnc", help="the program")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS)
    parser.add_argument("--only", nargs="*", help="workloads whose names contain one of these")
    return parser.parse_args()


def start(options):
    """A process for each peer; those that cannot start are named and left out."""
    workers = {}
    for peer in options.peers:
        worker = subprocess.Popen(
            [sys.executable, HERE / "worker.py", peer, str(options.threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        answer = json.loads(worker.stdout.readline() or '{"error": "it ended"}')
        if "error" in answer:
            print(f"without {peer}: {answer['error']}", file=sys.stderr)
        else:
            workers[peer] = worker
    return workers


def ask(worker, request):
    if worker.poll() is not None:
        return {"error": "it ended"}
    worker.stdin.write(json.dumps(request) + "\n")
    worker.stdin.flush()
    return json.loads(worker.stdout.readline() or '{"error": "it ended"}')


def bench(options, workload):
    command = [options.nnc, "bench", HERE / f"../../models/{workload.model}.nn", "--json"]
    command += ["--batch", str(workload.batch), "--threads", str(options.threads)]
    command += ["--seconds", str(options.seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def table(chosen, peers, ours, peer_times):
    print("| workload | limit ms | nnc ms | x limit |", *(f" {p} ms | x limit |" for p in peers), "best peer / nnc |", sep="")
    print("| --- | ---: | ---: | ---: |", *(" ---: | ---: |" for _ in peers), " ---: |", sep="")
    for number, workload in chosen:
        runs = ours[number]
        peak = max(run["peak_gflops"] for run in runs) * 1e9
        limit = runs[0]["flop_per_step"] / peak * 1e3
        nnc = statistics.median(run["step_ms"] for run in runs)
        cells = [workload.name, f"{limit:.3f}", f"{nnc:.3f}", f"{nnc / limit:.2f}"]
        best = None
        for peer in peers:
            times = peer_times[number, peer]
            if not times:
                cells += ["-", "-"]
                continue
            ms = statistics.median(times)
            best = ms if best is None else min(best, ms)
            cells += [f"{ms:.3f}", f"{ms / limit:.2f}"]
        cells.append(f"{best / nnc:.1f}" if best else "-")
        print("|", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
