"""What a safetensors file holds comes back; what is damaged is refused by name."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pointillist.errors import PointillistError
from pointillist.models.tensors import Tensors, decode, encode, sealed

FILE = Tensors(
    {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2])},
    {"kind": "test", "nested": {"x": [1, 2.5, None]}, "text": "ä <script>"},
)


def test_what_is_encoded_is_decoded():
    decoded = decode(encode(sealed(FILE, "1")), "file")
    assert all(torch.equal(decoded.tensors[k], FILE.tensors[k]) for k in FILE.tensors)
    assert FILE.metadata.items() <= decoded.metadata.items()
    assert decoded.metadata["version"] == "1"
    assert len(decoded.metadata["digest"]) == 64


def test_the_digest_covers_the_version():
    once = sealed(FILE, "1")
    twice = sealed(once, "2")
    assert twice.metadata["digest"] != once.metadata["digest"]
    assert decode(encode(twice), "file").metadata["version"] == "2"


@settings(max_examples=300)
@given(data=st.data())
def test_any_changed_byte_is_noticed(data):
    """Every bit of the file is covered by the digest or by the format's own checks."""
    content = bytearray(encode(FILE))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        loaded = decode(bytes(content), "file")
    except PointillistError as error:
        assert str(error).startswith("file ")
        return
    # JSON has bytes without meaning (padding); then the content must be what it was.
    assert all(torch.equal(loaded.tensors[k], FILE.tensors[k]) for k in FILE.tensors)
    assert FILE.metadata.items() <= loaded.metadata.items()


@given(content=st.binary(max_size=300))
def test_any_other_bytes_are_refused(content):
    with pytest.raises(PointillistError, match="load an older version"):
        decode(content, "file")


@given(cut=st.integers(0, len(encode(FILE)) - 1))
def test_truncated_files_are_refused(cut):
    with pytest.raises(PointillistError, match="file is"):
        decode(encode(FILE)[:cut], "file")


def test_files_of_another_tool_are_refused(tmp_path):
    from safetensors.torch import save

    with pytest.raises(PointillistError, match="not one of Pointillist's"):
        decode(save({"a": torch.zeros(1)}), "file")
