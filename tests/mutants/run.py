#!/usr/bin/env python3
"""Makes one mistake after the other in a copy of the sources and says which test finds it.

    tests/mutants/run.py COPY [FIRST [END]]

COPY is a clean clone of this repository: its files are changed and put back. Snapshots are accepted blindly, so
that only laws can find a mistake. A mistake that nothing finds, or that does not compile, ends the run with 1.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

LIMIT = 900  # seconds for one mistake, the build included


def run(copy, mutant):
    file = copy / mutant["file"]
    text = file.read_text()
    before, after = mutant["from"], mutant["to"]
    if text.count(before) == 0:
        return "ABSENT", []
    command = ["cargo", "test", "-q", "-p", "nnc-tests", "--test", mutant["law"]]
    settings = {**os.environ, "NNC_REQUIRE_GPU": "1", "INSTA_UPDATE": "always"}
    file.write_text(text.replace(before, after, 1))
    try:
        done = subprocess.run(command, cwd=copy, env=settings, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return "TOO LONG", []
    finally:
        file.write_text(text)
    lines = (done.stdout + done.stderr).splitlines()
    laws = [line.removeprefix("---- ").removesuffix(" stdout ----") for line in lines if line.startswith("---- ")]
    if done.returncode == 0:
        return "SURVIVED", laws
    return ("killed" if laws else "NOT BUILT"), laws


def main():
    copy = pathlib.Path(sys.argv[1])
    bounds = [int(number) for number in sys.argv[2:4]]
    mutants = json.loads(pathlib.Path(__file__).with_name("mutants.json").read_text())
    wrong = 0
    for number, mutant in list(enumerate(mutants))[slice(*(bounds + [None, None])[:2])]:
        begin = time.time()
        outcome, laws = run(copy, mutant)
        wrong += outcome != "killed"
        found = ", ".join(sorted(set(laws)))
        print(f"{number:2} {outcome:8} {mutant['mistake']} ({mutant['file']}): {found} [{time.time() - begin:.0f} s]", flush=True)
    sys.exit(1 if wrong else 0)


main()
