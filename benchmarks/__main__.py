"""`python -m benchmarks [PART …]`: measure the parts named, or all, and rewrite results.md and .json.

Each part runs in a process of its own and writes its own section of the record, so that a part that fails
leaves the others' figures, and its own last ones, where they are.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import cast

from benchmarks import machine, record, trials
from benchmarks.common import BASE, FOLDER, PROJECT, Options, Part, parse, say
from pointillist.errors import PointillistError, nearest

PARTS = (
    "machine",
    "times",
    "start",
    "quality",
    "shapes",
    "truth",
    "memorising",
    "films",
    "race",
    "presets",
    "flops",
    "scaling",
    "sweeps",
    "releases",
    "ensembles",
    "gpu",
)
NAMED = ("gpu",)
"""Parts that are measured only where they are named: they need what few machines have."""


def main() -> None:
    """Measure what the command line names."""
    parser = _parser()
    arguments = parser.parse_args()
    names: list[str] = arguments.parts or [name for name in PARTS if name not in NAMED]
    for name in names:
        if name not in PARTS and names != ["trials"]:
            parser.error(f"part {name!r} is unknown.{nearest(name, PARTS)} {_known()}")
    options = Options(
        repeats=arguments.repeats,
        seeds=arguments.seeds,
        shapes=tuple(arguments.shapes),
        recipe=arguments.recipe,
        overrides=arguments.params,
        base=arguments.base,
        device=arguments.device,
        smoke=arguments.smoke,
    )
    if arguments.params and not {"race", "trials"} & set(names):
        parser.error("--params is for race and trials alone.")
    if arguments.recipe not in (
        known := [p.name for p in (PROJECT / "conf").iterdir() if p.is_dir()]
    ):
        parser.error(f"recipe {arguments.recipe!r} is unknown.{nearest(arguments.recipe, known)}")
    groups = list(dict.fromkeys(trial.group for trial in trials.TRIALS))
    for group in arguments.groups:
        if group not in groups:
            parser.error(f"group {group!r} is unknown.{nearest(group, groups)} Known: {groups}.")
    if names == ["trials"]:
        trials.run(options, arguments.groups)
    elif (arguments.out or arguments.taken) and len(names) > 1:
        parser.error("--out and --taken are for a part alone.")
    elif len(names) == 1:
        try:
            measure(names[0], options, arguments.out, arguments.taken)
        except PointillistError as error:
            sys.exit(str(error))
    else:
        sys.exit(_measure_each(names))


def measure(
    name: str, options: Options, out: Path | None = None, taken: Path | None = None
) -> None:
    """Measure one part, or read its figures in `taken`; write them to `out`, or into the record."""
    part = cast(Part, import_module(f"benchmarks.{name}"))
    started = time.perf_counter()
    figures = part.measure(options) if taken is None else json.loads(taken.read_text())
    say(f"{name}: done in {time.perf_counter() - started:.0f} s")
    if out is not None:
        out.write_text(json.dumps(figures, indent=1) + "\n")
    if options.smoke or out is not None:
        print("\n".join(part.report(figures)))
        return
    path = FOLDER / "results.json"
    here, found = machine.measure(options), record.read(path)
    if found.get("machine", here) != here:
        say("The record was made on another machine or with other versions: it begins anew.")
        found = {}
    merged = record.merge(record.merge(found, "machine", here), name, figures)
    record.write(path, merged)
    parts = {known: cast(Part, import_module(f"benchmarks.{known}")) for known in PARTS}
    Path(FOLDER / "results.md").write_text("\n".join(record.report(merged, parts)) + "\n")


def _measure_each(names: list[str]) -> str | None:
    """Measure each part in a process of its own; return what there is to say of those that failed."""
    given = [word for word in sys.argv[1:] if word not in names]
    failed = [
        name
        for name in names
        if subprocess.run([sys.executable, "-m", "benchmarks", name, *given]).returncode
    ]
    return f"Failed: {', '.join(failed)}. Their last figures still stand." if failed else None


def _known() -> str:
    return f"Known: {', '.join(PARTS)}; or trials (in a call of its own)."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=_known())
    parser.add_argument("--repeats", type=int, default=5, help="runs behind each median")
    parser.add_argument("--seeds", type=int, default=3, help="seeds behind each figure of quality")
    parser.add_argument(
        "--shapes",
        type=lambda text: text.split(","),
        default=(),
        help="shapes of quality and shapes: a,b",
    )
    parser.add_argument("--recipe", default="fast", help="environment that races")
    parser.add_argument(
        "--params",
        type=parse,
        default={},
        help="its parameters, or those of trials' default: a.b=1,c=x",
    )
    parser.add_argument(
        "--groups", type=lambda text: text.split(","), default=(), help="groups of trials: a,b"
    )
    parser.add_argument("--base", default=BASE, help="commit beside which start is measured")
    parser.add_argument("--device", default="cuda", help="device of gpu")
    parser.add_argument(
        "--out",
        type=Path,
        help="file for the figures of one part, which then stay out of the record",
    )
    parser.add_argument(
        "--taken", type=Path, help="file that --out wrote elsewhere, for the record"
    )
    parser.add_argument(
        "--smoke", action="store_true", help="only try whether it runs; write nothing"
    )
    return parser


if __name__ == "__main__":
    main()
