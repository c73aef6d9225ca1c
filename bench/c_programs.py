"""Fetch, compile and time two C programs that train on names.

The programs draw their own weights, read names from the working directory, and print their speed.
microgpt-c measures processor time; its compiler flags come from its CMakeLists.txt. EEmicroGPT is
written for Apple's processors: SIMDe translates its NEON instructions, and a header in
bench/c_headers replaces Apple's clock.
"""

import re
import subprocess
from pathlib import Path
from statistics import fmean

from contenders import Job, Work
from harness import BENCH

SOURCES = {  # commit and paths to check out, by repository
    "enjector/microgpt-c": (
        "bf713f325b514cef04ce95d779eef79097682d4b", "src", "demos/character-level/names"
    ),
    "Entrpi/eemicrogpt": ("97b42fcd42cf288a2183e90399f0afbfc2af1470", "eemicrogpt.c"),
    "simd-everywhere/simde": ("71fd833d9666141edcd1d3c109a80e228303d8d7", "simde"),
}  # fmt: skip
COMPILER = "gcc -O3 -ffast-math -funroll-loops -march=native -DNDEBUG -w"
PROGRAMS = {
    "microgpt-c": (
        "-DMICROGPT_USE_FLOAT=1 -DMICROGPT_SIMD=1 -DN_EMBD={C} -DMLP_DIM={F} -DBATCH_SIZE={B} "
        "-DNUM_STEPS=1000 -Ienjector/microgpt-c/src enjector/microgpt-c/src/microgpt.c "
        "enjector/microgpt-c/demos/character-level/names/main.c"
    ),
    "EEmicroGPT": (
        "-DD_MODEL={C} -DBATCH={B} -DN_STEPS=1000 -I{headers} -Isimd-everywhere/simde "
        "Entrpi/eemicrogpt/eemicrogpt.c"
    ),
}
TRAINED = 3.0  # maximum final loss, in nats per token, of a program that learns (2.4 is usual)


def fetch(folder: Path) -> None:
    """Clone each missing repository into a folder, and check out the sources."""
    for repository, (commit, *paths) in SOURCES.items():
        clone = folder / repository
        if not clone.exists():
            url = f"https://github.com/{repository}"
            subprocess.run(["git", "clone", "--quiet", "--no-checkout", url, clone], check=True)
        subprocess.run(["git", "checkout", "--quiet", commit, "--", *paths], cwd=clone, check=True)


def trainer(name: str, job: Job, folder: Path) -> Work:
    """Compile a program in a folder; return a function that runs it and returns its time."""
    C, B = job.model.n_embd, job.config.batch_size
    program = folder / f"{name}-d{C}-batch-{B}" / "train"
    program.parent.mkdir(exist_ok=True)
    names = ["".join(chr(ord("a") + token) for token in doc[1:-1]) for doc in job.docs]
    for file in ("c_names.txt", "names.txt"):  # file names that microgpt-c and EEmicroGPT expect
        program.with_name(file).write_text("\n".join(names) + "\n")
    sizes = {"C": C, "F": job.model.n_ff_exp * C, "B": B, "headers": BENCH / "c_headers"}
    flags = [flag.format_map(sizes) for flag in PROGRAMS[name].split()]
    command = [*COMPILER.split(), *flags, "-lm", "-lpthread", "-o", program]
    subprocess.run(command, cwd=folder, check=True)
    return lambda: seconds_per_step(program) * job.config.steps


def seconds_per_step(program: Path) -> float:
    """Train once, and return the seconds per step that the program prints."""
    done = subprocess.run([program], cwd=program.parent, stdout=subprocess.PIPE, check=True)
    printed = done.stdout.decode(errors="replace")
    losses = [float(each) for each in re.findall(r"loss.*?(\d\.\d+)", printed)]
    if not fmean(losses[-5:]) < TRAINED:
        raise SystemExit(f"{program} does not learn: {losses}")
    if found := re.search(r"([\d.]+) steps/s", printed):
        return 1 / float(found[1])
    return float(re.findall(r"Average step: ([\d.]+) us", printed)[0]) / 1e6
