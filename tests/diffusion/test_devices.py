"""Devices are refused in words."""

import pytest
import torch

from pointillist.diffusion import devices
from pointillist.errors import PointillistError


def test_a_device_that_is_not_there_is_refused_in_words():
    with pytest.raises(PointillistError, match="device=auto"):
        devices.resolve(f"cuda:{torch.cuda.device_count()}")
