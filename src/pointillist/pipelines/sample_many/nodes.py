"""Sample many: partition after partition, each from a seed of its own, on whatever workers there are."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from pointillist import clusters, diffusion, models
from pointillist.datasets import Partitions
from pointillist.diffusion.config import Sampling
from pointillist.models.tensors import decode, encode
from pointillist.parameters import Many
from pointillist.progress import count

logger = logging.getLogger(__name__)


def sample_partitions(
    denoiser: models.TrainedDenoiser,
    many_place: Partitions,
    n: int,
    seed: int,
    device: str,
    sampling: Sampling,
    many: Many,
) -> dict[str, Any]:
    """Draw n points into Parquet files; those that are there and whole are left as they are.

    What is drawn depends on the model, n, the seed, the sampler and the size of a partition, and not on
    the workers: their folder is named by a hash of those. The digest says that two runs drew the same.
    """
    # A worker that has a GPU must not draw other numbers than one that has none.
    device = str(diffusion.devices.resolve(device))
    settings = sampling.model_dump(mode="json", exclude={"n_samples", "n_frames"})
    about = [denoiser.digest, n, seed, settings, many.partition, device]
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
    place = Partitions(many_place.folder / key)
    whole, rest = divmod(n, many.partition)
    sizes = [many.partition] * whole + [rest] * (rest > 0)
    digests = {i: place.digest(i, size) for i, size in enumerate(sizes)}
    missing = [i for i, digest in digests.items() if digest is None]
    if len(missing) < len(sizes):
        logger.info("%d of %d partitions are there.", len(sizes) - len(missing), len(sizes))
    diffusion.chains.warn_of_surprises(denoiser.denoiser.path, sampling)
    place.folder.mkdir(parents=True, exist_ok=True)
    model = encode(denoiser.to_tensors())
    tasks = [(str(place.folder), i, sizes[i], seed, device, settings) for i in missing]
    for index, digest in count_drawn(model, tasks, many):
        digests[index] = digest
    # What a worker that was killed left half written.
    place.tidy()
    together = hashlib.sha256("".join(str(digests[i]) for i in range(len(sizes))).encode())
    return {
        "n": n,
        "partitions": len(sizes),
        "drawn now": len(missing),
        "folder": str(place.folder),
        "digest": together.hexdigest(),
    }


def count_drawn(
    model: bytes, tasks: list[tuple[Any, ...]], many: Many
) -> Iterator[tuple[int, str]]:
    """Draw the partitions of `tasks` here or on workers; yield index and digest of each, as they end."""
    if not tasks or (many.workers == 1 and many.address is None):
        for task in count(tasks, "Sampling", "partition"):
            yield draw_partition(model, *task)
        return
    from distributed import as_completed

    with clusters.cluster(many.workers, many.address) as client:
        [shared] = client.scatter([model], broadcast=True)
        futures = [client.submit(draw_partition, shared, *task, pure=False) for task in tasks]
        ended = as_completed(futures)
        for _ in count(futures, "Sampling", "partition"):
            found: tuple[int, str] = next(ended).result()
            yield found


def draw_partition(
    model: bytes,
    folder: str,
    index: int,
    size: int,
    seed: int,
    device: str,
    settings: dict[str, Any],
) -> tuple[int, str]:
    """Draw one partition and write it; return its index and the digest of its points."""
    checkpoint = _unpacked(model, device)
    where = diffusion.devices.resolve(device)
    generator = diffusion.devices.generator(seed, f"partition {index}", where)
    sampling = Sampling.model_validate({**settings, "n_samples": max(2, size)})
    drawn = diffusion.chains.draw(checkpoint.denoiser, checkpoint.density, sampling, generator)
    points = checkpoint.original(drawn)[:size]
    return index, Partitions(Path(folder)).write(index, points)


@lru_cache(maxsize=1)
def _unpacked(model: bytes, device: str) -> models.TrainedDenoiser:
    file = decode(model, "the model")
    return models.TrainedDenoiser.from_tensors(file).to(diffusion.devices.resolve(device))
