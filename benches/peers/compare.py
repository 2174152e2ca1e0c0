"""Steps of `nnc` beside those of other frameworks, interleaved in one run.

    python benches/peers/compare.py --nnc target/release/nnc --threads 2

In each round every framework that is installed works on every workload for a while, one
after the other, so that what disturbs the machine for a time disturbs all of them. Prints a
table: milliseconds a step (the median of all rounds), as multiples of the machine's
arithmetic limit, which `nnc bench` measures, and how much faster `nnc` is than the best.

With `--cold` each framework begins anew for each workload, in a process of its own, and the
table says how long it took from there to the end of the first step, and how much memory it
held at most.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from workloads import WORKLOADS

HERE = Path(__file__).parent
PEERS = ["torch", "torch.compile", "jax", "keras"]
# Threads of a framework that has just worked look out for more work before they sleep.
REST = 0.3


def main():
    options = arguments()
    chosen = [
        (number, workload)
        for number, workload in enumerate(WORKLOADS)
        if not options.only or any(word in workload.name for word in options.only)
    ]
    if options.cold:
        cold(options, chosen)
    else:
        steady(options, chosen)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nnc", default="target/release/nnc", help="the program")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS)
    parser.add_argument("--only", nargs="*", help="workloads whose names contain one of these")
    parser.add_argument("--cold", action="store_true", help="first steps and memory instead")
    parser.add_argument(
        "--wait", action="store_true", help="for a line of input, when all is compiled"
    )
    return parser.parse_args()


def steady(options, chosen):
    """Steps again and again, in turns."""
    workers = {peer: start(options, peer) for peer in options.peers}
    workers = {peer: worker for peer, worker in workers.items() if held(worker, peer) is not None}
    # Compiling does not count, nor what a framework does on its first steps.
    absent = {
        (number, peer)
        for number, workload in chosen
        for peer, worker in workers.items()
        if not ask(worker, peer, number, steps=3)
    }
    if options.wait:
        print("ready", file=sys.stderr)
        sys.stdin.readline()
    times = {(number, peer): [] for number, _ in chosen for peer in workers}
    ours = {number: [] for number, _ in chosen}
    for _ in range(options.rounds):
        for number, workload in chosen:
            ours[number].append(step_and_limit(workload, bench(options, workload)))
            for peer, worker in workers.items():
                if (number, peer) not in absent:
                    answer = ask(worker, peer, number, seconds=options.seconds)
                    times[number, peer].extend(answer.get("ms", []))
                    time.sleep(REST)
    for worker in workers.values():
        stop(worker)
    rows = []
    for number, workload in chosen:
        nnc, limit = (statistics.median(numbers) for numbers in zip(*ours[number]))
        cells = [workload.name, f"{limit:.3f}", f"{nnc:.3f}", f"{nnc / limit:.2f}"]
        medians = [statistics.median(times[number, peer] or [0]) for peer in workers]
        for median in medians:
            cells += [f"{median:.3f}", f"{median / limit:.2f}"] if median else ["-", "-"]
        best = min(filter(None, medians), default=None)
        rows.append([*cells, f"{best / nnc:.1f}" if best else "-"])
    heads = ["limit ms", "nnc ms", "x limit"]
    heads += [head for peer in workers for head in (f"{peer} ms", "x limit")]
    table(["workload", *heads, "best peer / nnc"], rows)


def cold(options, chosen):
    """Each framework from its beginning."""
    # `nnc bench` has trained a net before it applies it.
    chosen = [(number, workload) for number, workload in chosen if workload.loss is not None]
    rows, imported = [], {}
    for _, workload in chosen:
        run = bench(options, workload)
        seconds = run["first_step_ms"] / 1e3
        memory = run["peak_resident_bytes"] - run["sample_bytes"]
        rows.append([workload.name, f"{seconds:.3f}", mebibytes(memory)])
    for peer in options.peers:
        for row, (number, workload) in zip(rows, chosen):
            begun = time.perf_counter()
            worker = start(options, peer)
            imported[peer] = held(worker, peer)
            if imported[peer] is None:
                break
            first = ask(worker, peer, number, steps=1)
            seconds = time.perf_counter() - begun
            if not first:
                row += ["-", "-"]
            else:
                # Until it holds what it holds for good.
                answer = ask(worker, peer, number, seconds=options.seconds) or first
                memory = answer["peak_bytes"] - answer["sample_bytes"]
                row += [f"{seconds - first['generating_s']:.1f}", mebibytes(memory)]
            stop(worker)
    there = [peer for peer in options.peers if imported.get(peer)]
    heads = [head for peer in ["nnc", *there] for head in (f"{peer} first step s", "MiB")]
    table(["workload", *heads], rows)
    for peer in there:
        print(f"{peer} holds {mebibytes(imported[peer])} MiB before it has a model")


def start(options, peer):
    """A process for a peer, which then imports its framework."""
    return subprocess.Popen(
        [sys.executable, HERE / "worker.py", peer, str(options.threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def held(worker, peer):
    """What it holds once it is ready; a peer that cannot start is named."""
    answer = json.loads(worker.stdout.readline() or '{"error": "it ended"}')
    if "error" in answer:
        print(f"without {peer}: {answer['error']}", file=sys.stderr)
        return None
    return answer["peak_bytes"] or 0


def stop(worker):
    worker.stdin.close()
    worker.wait()


def ask(worker, peer, number, **request):
    """The answer; nothing where a peer does not have the workload, or fails."""
    if worker.poll() is not None:
        return {}
    worker.stdin.write(json.dumps({"workload": number, **request}) + "\n")
    worker.stdin.flush()
    answer = json.loads(worker.stdout.readline() or '{"error": "it ended"}')
    if "error" in answer:
        print(f"{peer}, {WORKLOADS[number].name}: {answer['error']}", file=sys.stderr)
    return {} if "error" in answer or "absent" in answer else answer


def bench(options, workload):
    command = [options.nnc, "bench", HERE / f"../../models/{workload.model}.nn", "--json"]
    command += ["--batch", str(workload.batch), "--threads", str(options.threads)]
    command += ["--seconds", str(options.seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def step_and_limit(workload, run):
    """Milliseconds: of a step, and of its arithmetic at the machine's limit just then."""
    if workload.loss is None:
        ms, times = run["inference_1_ms"], run["inference_1_times_the_limit"]
    else:
        ms, times = run["step_ms"], run["times_the_limit"]
    return ms, ms / times


def mebibytes(size):
    return f"{size / 2**20:.0f}"


def table(heads, rows):
    print("|", " | ".join(heads), "|")
    print("| --- |", " ---: |" * (len(heads) - 1), sep="")
    for row in rows:
        print("|", " | ".join(row), "|")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
