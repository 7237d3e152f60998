"""One request a line on standard input, one answer a line on standard output, both JSON."""

import json
import os
import subprocess
import sys
import time


def serve(round_of, versions, warm_up=None, uses_gpu=False):
    """Answers `{"cmd": "round", "steps": n}` with `{"seconds": s, "items": n, "peakMiB": m}` until standard input ends.

    `round_of(steps)` does the work and returns how many items it made; its whole duration is the answer's `seconds`.
    `peakMiB` is the process's largest resident memory so far (VmHWM of Linux), or null. With `uses_gpu` the answer also has
    `deviceMiB`: what the process holds of the GPU's memory, as nvidia-smi tells, or null.
    `warm_up()` runs once before the first line `{"ready": true, "versions": {...}}` is written.
    Anything that a library prints goes to standard error, so that it cannot mix with the answers.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if warm_up is not None:
        warm_up()
    print(json.dumps({"ready": True, "versions": versions}), file=answers)
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        if request.get("cmd") != "round":
            print(json.dumps({"error": f"unknown cmd {request.get('cmd')!r}; allowed: 'round'"}), file=answers)
            continue
        begin = time.perf_counter()
        items = round_of(int(request["steps"]))
        answer = {"seconds": time.perf_counter() - begin, "items": items, "peakMiB": peak_mebibytes()}
        if uses_gpu:
            answer["deviceMiB"] = device_mebibytes()
        print(json.dumps(answer), file=answers)


def peak_mebibytes():
    """VmHWM of /proc/self/status in MiB; None where there is none."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            kilobytes = [int(line.split()[1]) for line in status if line.startswith("VmHWM:")]
    except OSError:
        return None
    return kilobytes[0] / 1024 if kilobytes else None


def device_mebibytes():
    """This process's share of the GPU's memory in MiB; None where nvidia-smi is missing or does not know the process."""
    query = ["nvidia-smi", "--query-compute-apps=pid,used_gpu_memory", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    parts = [line.split(",") for line in said.splitlines()]
    used = [int(part[1]) for part in parts if part[0].strip() == str(os.getpid()) and part[1].strip().isdigit()]
    return sum(used) if used else None
