"""Fuzz for as long as you like: ``python tests/fuzz/run.py --target socketio --minutes 5``, or all targets in turn.

With atheris (``pip install atheris``) inputs are made by what they reach in the package: libFuzzer. What it finds worth keeping
lies in ``build/fuzz``, and the next run goes on from there. Without it inputs are the seeds, changed at random.

An input that makes a target fail is written to ``tests/fuzz/crashes``, where the test suite finds it from then on.
"""

import argparse
import hashlib
import random
import subprocess
import sys
import time
import traceback
from pathlib import Path
from types import FunctionType, ModuleType

try:
    import atheris
except ImportError:  # it is optional, and there are no builds of it for every system
    atheris = None

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from fuzz.catalogue import TARGETS  # noqa: E402 - found in the folder that has just been named
from fuzz.target import Target  # noqa: E402

CRASHES = HERE / "crashes"
KEPT = HERE.parent.parent / "build" / "fuzz"

SLOWEST = 10
"""Seconds after which libFuzzer takes one input for one that hangs."""

EVERY = 10
"""Seconds between two reports of progress."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", choices=TARGETS, help="fuzz only this one")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long each target is fuzzed (default: 1)")
    parser.add_argument("--random", action="store_true", help="change seeds at random, though atheris is there")
    parser.add_argument("--input", type=Path, help="give this file to the target, once")
    options = parser.parse_args()
    if options.input is not None:
        if options.target is None:
            parser.error("--input needs a --target")
        TARGETS[options.target].check(options.input.read_bytes())
        return 0
    if options.target is not None:
        return fuzz(TARGETS[options.target], options.minutes * 60, at_random=options.random)
    failed = []
    for name in TARGETS:
        print(f"== {name}", flush=True)
        ways = ["--random"] if options.random else []
        command = [sys.executable, __file__, "--target", name, "--minutes", str(options.minutes), *ways]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "no target has failed")
    return 1 if failed else 0


def fuzz(target: Target, seconds: float, *, at_random: bool) -> int:
    if atheris is None:
        print("atheris is not installed: the seeds are changed at random", flush=True)
    if atheris is None or at_random:
        return fuzz_at_random(target, seconds)
    return fuzz_by_coverage(target, seconds)


def fuzz_at_random(target: Target, seconds: float) -> int:
    """Change seeds at random until time is up or one makes the target fail."""
    seeds = list(target.seeds())
    dice = random.Random()
    started = time.monotonic()
    told = started
    count = 0
    while (now := time.monotonic()) - started < seconds:
        if now - told >= EVERY:
            told = now
            print(f"{target.name}: {count} inputs in {now - started:.0f} s", flush=True)
        data = seeds[count] if count < len(seeds) else _changed(dice, seeds, target)
        count += 1
        try:
            target.check(data)
        except Exception:
            path = CRASHES / f"{target.name}.{hashlib.sha256(data).hexdigest()[:16]}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            traceback.print_exc()
            print(f"{target.name}: failed after {count} inputs; the input is {path}", flush=True)
            return 1
    print(f"{target.name}: {count} inputs, none of which made it fail", flush=True)
    return 0


def _changed(dice: random.Random, seeds: list[bytes], target: Target) -> bytes:
    data = dice.choice(seeds)
    for _ in range(dice.choice((1, 1, 2, 3, 5, 8))):
        start = dice.randint(0, len(data))
        end = min(len(data), start + dice.choice((0, 0, 1, 1, 2, 8, len(data))))
        other = dice.choice(seeds)
        cut = dice.randint(0, len(other))
        new = dice.choice(
            (dice.choice(target.words), dice.randbytes(dice.randint(0, 3)), other[cut:], data[start:end] * 2)
        )
        data = (data[:start] + new + data[end:])[: target.largest]
    return data


def fuzz_by_coverage(target: Target, seconds: float) -> int:
    """Let libFuzzer make the inputs. It ends this process."""
    given = KEPT / f"{target.name}-seeds"
    kept = KEPT / target.name
    for folder in (given, kept, CRASHES):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (given / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    words = given.with_suffix(".words")
    escaped = ("".join(map(r"\x{:02x}".format, word)) for word in target.words)
    words.write_text("".join(f'"{word}"\n' for word in escaped))
    for module in list(sys.modules.values()):
        if any(f"{module.__name__}.".startswith(f"{name}.") for name in target.modules):
            _instrument(module)
    arguments = [
        sys.argv[0],
        str(kept),
        str(given),
        f"-max_total_time={max(1, round(seconds))}",
        f"-max_len={target.largest}",
        f"-timeout={SLOWEST}",
        f"-dict={words}",
        f"-artifact_prefix={CRASHES}/{target.name}.",
        "-print_final_stats=1",
        "-report_slow_units=5",
    ]
    atheris.Setup(arguments, target.check)
    atheris.Fuzz()
    return 0


def _instrument(module: ModuleType) -> None:
    """Make the branches of a module visible. Import hooks would not do: the package is installed in editable form."""
    for value in list(vars(module).values()):
        owned = [value, *vars(value).values()] if isinstance(value, type) else [value]
        for one in owned:
            function = getattr(one, "fget", None) or getattr(one, "__func__", None) or one
            if isinstance(function, FunctionType) and function.__module__ == module.__name__:
                atheris.instrument_func(function)


if __name__ == "__main__":
    sys.exit(main())
