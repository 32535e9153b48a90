"""What the registered pipelines say of the stages: nothing of it is listed anywhere else.

A stage is a namespace of nodes, and the name of a registered pipeline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from kedro.pipeline import Pipeline

Pipelines = Mapping[str, Pipeline]
DEFAULT = "__default__"


def of(pipeline: Pipeline) -> list[str]:
    """Return the stages of a pipeline in the order in which they end."""
    nodes = reversed(pipeline.nodes)
    return list(dict.fromkeys(node.namespace for node in nodes if node.namespace))[::-1]


def making(pipelines: Pipelines) -> dict[str, str]:
    """Return the stage that makes each dataset."""
    nodes = (node for pipeline in pipelines.values() for node in pipeline.nodes)
    return {output: node.namespace or "" for node in nodes for output in node.outputs}


def upstream(name: str, pipelines: Pipelines) -> set[str]:
    """Return the datasets that one is made from, directly or not."""
    every = sum(pipelines.values(), Pipeline([]))
    if name not in every.all_outputs():
        return set()
    return every.to_outputs(name).datasets() - {name}


def needed(names: Iterable[str], pipelines: Pipelines) -> list[str]:
    """Return the stages that make the datasets `names`, in order, without those that others contain."""
    made_by = making(pipelines)
    found = {made_by[name] for name in names if name in made_by}
    contained = {part for stage in found for part in of(pipelines[stage]) if part != stage}
    order = of(sum((pipelines[stage] for stage in found), Pipeline([])))
    return [stage for stage in order if stage in found - contained]


def parameters(pipeline: Pipeline) -> list[str]:
    """Return the parameters, single or groups of them, that the nodes of a pipeline take."""
    inputs = (name for node in pipeline.nodes for name in node.inputs)
    return list(dict.fromkeys(name.removeprefix("params:") for name in _parameters(inputs)))


def without_effect(
    given: Iterable[str], pipeline: Pipeline, pipelines: Pipelines
) -> dict[str, list[str]]:
    """Return which of the parameters `given` (dotted) no node takes, and which stages would."""
    taken = set(parameters(pipeline))
    found = {}
    for name in given:
        group, dot, _ = name.partition(".")
        if not dot:  # threads and the like have their effect at the edge
            continue
        takers = [
            s for s, other in pipelines.items() if group in parameters(other) and s != DEFAULT
        ]
        if takers and group not in taken:
            found[name] = takers
    return found


def following(pipeline: Pipeline, pipelines: Pipelines) -> str | None:
    """Return the stage of the default run that comes after those of `pipeline`, if any does."""
    order, present = of(pipelines[DEFAULT]), of(pipeline)
    if not present or any(stage not in order for stage in present):
        return None
    return next(iter(order[order.index(present[-1]) + 1 :]), None)


def _parameters(names: Iterator[str]) -> Iterator[str]:
    return (name for name in names if name.startswith("params:"))
