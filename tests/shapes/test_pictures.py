"""Pictures: ink as the eye sees it, and points that take their share of it."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial import KDTree

from pointillist.errors import PointillistError
from pointillist.shapes import pictures


def save(folder, image: Image.Image, name: str = "picture.png", **options):
    image.save(folder / name, **options)
    return folder / name


def place(ink, n=500, **options):
    defaults = {"invert": False, "threshold": 0.1, "contrast": 1.0, "seed": 0, "source": "it"}
    dark = np.asarray(ink, np.float32)
    return pictures.place(pictures.Ink(dark, 1 - dark), n, **(defaults | options))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.jpeg", "a.webp"])
@pytest.mark.parametrize(("grey", "ink"), [(0, 1), (255, 0), (102, 0.6)])
def test_ink_is_what_lacks_of_white(tmp_path, name, grey, ink):
    found = pictures.read(save(tmp_path, Image.new("L", (30, 20), grey), name)).dark
    assert found.shape == (20, 30)
    np.testing.assert_allclose(found, ink, atol=0.02)


@pytest.mark.parametrize(
    ("mode", "colour", "ink"),
    [
        ("RGB", (255, 0, 0), 0.701),
        ("RGB", (0, 255, 0), 0.413),
        ("RGBA", (0, 0, 0, 255), 1),
        ("LA", (51, 255), 0.8),
        ("1", 0, 1),
        ("P", 0, 1),
        ("I;16", 0, 1),
    ],
)
def test_every_kind_of_pixel_is_understood(tmp_path, mode, colour, ink):
    image = Image.new(mode, (9, 9), colour)
    found = pictures.read(save(tmp_path, image)).dark
    np.testing.assert_allclose(found, ink, atol=0.01)


def test_sixteen_bits_of_grey_are_scaled_by_their_range(tmp_path):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)[None].repeat(8, 0)
    found = pictures.read(save(tmp_path, Image.fromarray(ramp))).dark
    np.testing.assert_allclose(found, 1 - ramp / 65535, atol=0.01)
    found = pictures.read(save(tmp_path, Image.fromarray(ramp // 2))).dark
    np.testing.assert_allclose(found, 1 - ramp / 131070, atol=0.01)


def test_cmyk_is_converted(tmp_path):
    file = save(tmp_path, Image.new("CMYK", (9, 9), (0, 0, 0, 255)), "a.jpg")
    np.testing.assert_allclose(pictures.read(file).dark, 1, atol=0.02)


def test_what_is_clear_has_no_ink(tmp_path):
    image = Image.new("RGBA", (20, 10), (0, 0, 0, 0))
    image.paste((60, 60, 60, 255), (0, 0, 10, 10))
    image.paste((0, 0, 0, 255), (0, 0, 5, 10))
    ink = pictures.read(save(tmp_path, image)).dark
    assert (ink[:, 10:] == 0).all()
    np.testing.assert_allclose(ink[:, :5], 1, atol=0.01)
    np.testing.assert_allclose(ink[:, 5:10], 1 - 60 / 255, atol=0.01)


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (255, 200, 0)])
def test_an_icon_of_one_colour_is_told_by_its_opacity(tmp_path, colour):
    image = Image.new("RGBA", (20, 10), (*colour, 0))
    image.paste((*colour, 255), (0, 0, 10, 10))
    ink = pictures.read(save(tmp_path, image)).dark
    assert (ink[:, :10] == 1).all()
    assert (ink[:, 10:] == 0).all()


def test_a_photograph_is_turned_as_its_camera_says(tmp_path):
    image = Image.new("L", (40, 20), 255)
    image.paste(0, (0, 0, 40, 5))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    ink = pictures.read(save(tmp_path, image, "a.jpg", exif=exif)).dark
    assert ink.shape == (40, 20)
    assert ink[:, -3:].mean() > 0.9
    assert ink[:, :10].mean() < 0.1


def test_large_pictures_are_scaled_down(tmp_path):
    ink = pictures.read(save(tmp_path, Image.new("L", (3000, 1500), 0), "a.jpg")).dark
    assert ink.shape == (512, 1024)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header_of_a_bomb(side: int) -> bytes:
    size = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"\0" * 99))


def png() -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (40, 40), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()


def test_what_is_clear_has_no_ink_where_points_go_where_it_is_light(tmp_path):
    """A pale logo on a clear ground: nothing of it is dark, and the ground is neither."""
    image = Image.new("RGBA", (30, 10), (0, 0, 0, 0))
    image.paste((255, 240, 160, 255), (0, 0, 10, 10))
    image.paste((255, 255, 255, 255), (0, 0, 5, 10))
    dark, light = pictures.read(save(tmp_path, image))
    assert dark.max() < 0.1
    assert (light[:, 10:] == 0).all()
    assert (light[:, :10] > 0.9).all()


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_value_is_clear(tmp_path, depth, channels):
    """PNG's tRNS, at either depth: Pillow writes it for 8 bits alone, so it is put together here."""
    clear = [1000, 60000, 30000][:channels] if depth == 16 else [10, 240, 120][:channels]
    pixels = np.zeros((8, 10, channels), ">u2" if depth == 16 else "u1")
    pixels[:, :4] = clear
    pixels[:, 7:] = 2**depth // 4
    size = struct.pack(">IIBBBBB", 10, 8, depth, 0 if channels == 1 else 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    file = tmp_path / "a.png"
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size)
        + chunk(b"tRNS", struct.pack(f">{channels}H", *clear))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    dark, light = pictures.read(file)
    assert (dark[:, :4] == 0).all()
    assert (light[:, :4] == 0).all()
    np.testing.assert_allclose(dark[:, 4:7], 1, atol=0.01)
    np.testing.assert_allclose(dark[:, 7:], 0.75, atol=0.01)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"x,y\n1,2\n", "is no picture of the kinds PNG, JPEG, WEBP"),
        (b"BM" + b"\0" * 100, "is no picture of the kinds"),
        (b"GIF89a" + b"\0" * 100, "is no picture of the kinds"),
        (png()[:200], "is damaged"),
        (header_of_a_bomb(11_000), "has more than 100,000,000 pixels"),
        (header_of_a_bomb(60_000), "has more than 100,000,000 pixels"),
    ],
    ids=["text", "bmp", "gif", "truncated", "large", "bomb"],
)
def test_what_is_no_picture_is_refused(tmp_path, content, said):
    file = tmp_path / "a.png"
    file.write_bytes(content)
    with pytest.raises(PointillistError) as error:
        pictures.read(file)
    assert said in str(error.value)
    assert str(file) in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_folder_and_a_file_that_is_not_there_are_refused(tmp_path):
    with pytest.raises(PointillistError, match="can't be read: Is a directory"):
        pictures.read(tmp_path)
    with pytest.raises(PointillistError, match=r"no\.png can't be read: No such file"):
        pictures.read(tmp_path / "no.png")


@given(name=st.sampled_from(["JPEG", "WEBP"]), data=st.data())
def test_a_damaged_photograph_gives_ink_or_our_error(tmp_path_factory, name, data):
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize((32, 32)).save(buffer, name)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.mktemp("damaged") / "a.jpg"
    file.write_bytes(content)
    try:
        ink = np.stack(pictures.read(file))
    except PointillistError as error:
        assert len(str(error).splitlines()) == 1
        return
    assert ((ink >= 0) & (ink <= 1)).all()


@given(data=st.data())
def test_a_damaged_picture_gives_ink_or_our_error(tmp_path_factory, data):
    content = bytearray(png())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.mktemp("damaged") / "a.png"
    file.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        ink = np.stack(pictures.read(file))
    except PointillistError:
        return
    assert ((ink >= 0) & (ink <= 1)).all()


def test_density_follows_ink():
    ink = np.tile(np.linspace(0, 1, 300), (150, 1))
    points = place(ink, 3000, threshold=0)
    counts, _ = np.histogram(points[:, 0], bins=10, range=(0, 300))
    expected = (np.arange(10) + 0.5) / 50 * 3000
    np.testing.assert_allclose(counts[2:], expected[2:], rtol=0.12)
    halves, _ = np.histogram(points[:, 1], bins=2, range=(0, 150))
    np.testing.assert_allclose(halves, 1500, rtol=0.06)


def test_contrast_empties_half_tones():
    ink = np.full((100, 100), 0.5)
    ink[:, 50:] = 1
    dark = [(place(ink, 1000, threshold=0, contrast=c)[:, 0] > 50).mean() for c in (0.5, 1, 2)]
    np.testing.assert_allclose(dark, [1 / (1 + 0.5**c) for c in (0.5, 1, 2)], atol=0.04)


def test_flat_areas_are_filled_evenly():
    nearest = KDTree(points := place(np.ones((100, 100)), 400)).query(points, k=2)[0][:, 1]
    assert nearest.min() > 0.5 * 100 / 20
    assert np.median(nearest) > 0.8 * 100 / 20


def test_points_stand_where_the_picture_has_them():
    ink = np.zeros((60, 100))
    ink[5:15, 70:80] = 1  # near the top, to the right
    points = place(ink, 50)
    assert (points > [69, 44]).all()
    assert (points < [81, 56]).all()


def test_an_icon_of_few_pixels_takes_many_points():
    ink = np.zeros((8, 8))
    ink[2:4, 3:5] = 1
    points = place(ink, 300)
    assert len(np.unique(points, axis=0)) == 300
    assert (np.ptp(points, axis=0) > 1).all()


def test_specks_far_apart_take_their_points_without_all_between():
    ink = np.zeros((1000, 1000))
    ink[0, 0] = ink[-1, -1] = 1
    points = place(ink, 300)
    near, far = np.hypot(*(points - (0.5, 999.5)).T), np.hypot(*(points - (999.5, 0.5)).T)
    assert np.minimum(near, far).max() < 0.75
    assert (near < 1).sum() == pytest.approx(150, abs=3)
    assert len(np.unique(points, axis=0)) == 300


def test_light_takes_the_points_if_it_is_asked_to():
    ink = np.ones((50, 50))
    ink[:, :10] = 0
    assert (place(ink, invert=True)[:, 0] < 11).all()


def test_the_paper_stays_bare_up_to_the_threshold():
    ink = np.full((50, 50), 0.3)
    ink[:, :10] = 0.9
    assert (place(ink, threshold=0.3)[:, 0] < 11).all()


@pytest.mark.parametrize(
    ("grey", "options", "said"),
    [
        (0.0, {}, "no pixel darker than source.threshold=0.1"),
        (0.05, {}, "source.invert=true"),
        (1.0, {"invert": True}, "no pixel lighter"),
    ],
)
def test_a_blank_picture_is_refused_with_the_cure(grey, options, said):
    with pytest.raises(PointillistError) as error:
        place(np.full((9, 9), grey), **options)
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_points_are_repeatable_and_depend_on_the_seed():
    ink = np.random.default_rng(0).random((40, 40))
    assert (place(ink, seed=1) == place(ink, seed=1)).all()
    assert (place(ink, seed=1) != place(ink, seed=2)).any()


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    n=st.integers(3, 200),
    seed=st.integers(0, 99),
)
def test_any_picture_with_ink_gives_that_many_points(shape, n, seed):
    ink = np.random.default_rng(seed).random(shape) * 0.5 + 0.4
    points = place(ink, n, seed=seed)
    assert points.shape == (n, 2)
    assert np.isfinite(points).all()
