"""Tables of any kind become the points that they hold, or are refused with the cure."""

import codecs
import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pointillist.errors import PointillistError
from pointillist.shapes import delimited, layout, sources, tables
from pointillist.shapes.columns import Wanted
from pointillist.shapes.config import Source

PLACES = [[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]]
WEIGHTS = [0.5, 1.0, 2.0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(PointillistError) as error:
        tables.read(path)
    message = str(error.value)
    assert str(path) in message
    assert len(message.splitlines()) <= 2
    return message


def npy(values, **options) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, **options)
    return buffer.getvalue()


def parquet(table: pd.DataFrame) -> bytes:
    return table.to_parquet(None, index=False)


@pytest.mark.parametrize(
    "content",
    [
        "x,y\n1,2\n3,4\n5,7\n",
        "1,2\n3,4\n5,7",
        "X;Y\n1;2\n3;4\n5;7\n",
        "x\ty\r\n1\t2\r\n3\t4\r\n5\t7\r\n",
        "x,y\r1,2\r3,4\r5,7\r",
        "x  y\n1  2\n 3 4 \n5\t7\n",
        " 'X' ,\"y\"\n1,2\n3,4\n5,7\n",
        "y,label,x\n2,a,1\n4,b,3\n7,c,5\n",
        "left,right\n1,2\n3,4\n5,7\n",
        "y,other\n2,1\n4,3\n7,5\n",
        "label,left,right\na,1,2\nb,3,4\nc,5,7\n",
        "red,1,2\nblue,3,4\nred,5,7\n",
        "when,a,b\n2020-01-01 12:00,1,2\n2020-01-01 12:01,3,4\n2020-01-01 12:02,5,7\n",
        ",x,y\n0,1,2\n1,3,4\n2,5,7\n",
        'x,y\n"1", 2.0\n +3 ,"4e0"\n"5" ,.7E+1\n',
        'x,y,note\n1,2,"a\nb, c"\n3,4,\n5,7,"say ""x"""\n',
        "\n\nx,y\n\n1,2,\n,,\n3,4\n  \n5,7\n\n",
        "# from a pen, by hand\n# x y\n1 2\n3 4\n5 7\n",
        "# y,x\n2,1\n4,3\n7,5\n",
        "x;y\n1,0;2\n3;4,00\n5;7\n",
        "x\ty\n1,0\t2\n3\t4\n5\t7\n",
        "x,y,colour\n1,2,#ff0000\n3,4,#00ff00\n5,7,#0000ff\n",
        codecs.BOM_UTF8 + b"x,y\n1,2\n3,4\n5,7\n",
        "x,y\n1,2\n3,4\n5,7\n".encode("utf-16"),
        codecs.BOM_UTF16_BE + "x,y,é\n1,2,ü\n3,4,\n5,7,\n".encode("utf-16-be"),
        "x,y\n1,2\n3,4\n5,7\n".encode("utf-32"),
    ],
    ids=repr,
)
def test_text_is_read_however_it_is_written(tmp_path, content):
    table = tables.read(write(tmp_path, "own.csv", content))
    assert list(table.columns) == ["x", "y"]
    assert table.to_numpy().tolist() == PLACES


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("own.TSV", "x\ty\n1\t2\n3\t4\n5\t7\n"),
        ("own.txt", "1 2\n3 4\n5 7\n"),
        ("own.json", "[[1, 2], [3.0, 4], [5, 7e0]]"),
        ("own.json", '[{"x": 1, "Y": 2}, {"Y": 4, "x": 3, "note": "a"}, {"x": 5, "Y": 7}]'),
        ("own.json", '{"y": [2, 4, 7], "note": null, "x": [1, 3, 5]}'),
        ("own.json", pd.DataFrame(PLACES, columns=["x", "y"]).to_json()),
        ("own.json", '{"a": [1, 3, 5], "b": [2, 4, 7], "c": ["d", "e", "f"]}'),
        ("own.json", "[[1, 2], [3, 4], [5, 7]]".encode("utf-16")),
        ("own.parquet", parquet(pd.DataFrame(PLACES, columns=["X", "y"]).assign(z=0, note="a"))),
        ("own.parquet", parquet(pd.DataFrame(PLACES, columns=["a.b", "c"], dtype="float32"))),
        ("own.parquet", parquet(pd.DataFrame(PLACES, columns=["x", "y"], dtype="int64"))),
        ("own.npy", npy(np.array(PLACES))),
        ("own.npy", npy(np.asfortranarray(PLACES).astype(">f4"))),
        ("own.npy", npy(np.array(PLACES, np.uint8))),
        ("own.npy", npy(np.rec.fromarrays(np.array(PLACES).T[::-1], names="Y,x"))),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_every_format_is_read(tmp_path, name, content):
    assert Path(name).suffix.lower() in tables.SUFFIXES
    table = tables.read(write(tmp_path, name, content))
    assert list(table.columns) == ["x", "y"]
    assert (table.dtypes == "float64").all()
    assert table.to_numpy().tolist() == PLACES


WEIGHTED = pd.DataFrame(PLACES, columns=["x", "y"]).assign(Weight=WEIGHTS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("own.csv", WEIGHTED.to_csv(index=False)),
        ("own.csv", WEIGHTED[["Weight", "y", "x"]].to_csv()),
        ("own.csv", WEIGHTED.rename(columns={"x": "a", "y": "b"}).to_csv(index=False, sep="\t")),
        ("own.json", WEIGHTED.to_json(orient="records")),
        ("own.json", json.dumps(WEIGHTED.to_dict("list"))),
        ("own.parquet", parquet(WEIGHTED)),
        ("own.npy", npy(WEIGHTED.to_numpy())),
        ("own.npy", npy(WEIGHTED.to_records(index=False))),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_weights_come_along(tmp_path, name, content):
    table = tables.read(write(tmp_path, name, content))
    assert list(table.columns) == ["x", "y", "weight"]
    assert table[["x", "y"]].to_numpy().tolist() == PLACES
    assert table["weight"].tolist() == WEIGHTS


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        (codecs.BOM_UTF16_LE, "is empty"),
        ("x,y\n", "a header alone"),
        ("# x,y\n", "comments alone"),
        ("x,y\n1,2\n", "1 distinct point;"),
        ("x,y\n1,2\n1,2\n3,4\n", "2 distinct points"),
        ("1\n2\n3\n", "one column alone"),
        ("a,b\nc,d\n", "no column of numbers, where there must be two (found: a, b)"),
        ("a,b\n1,c\n2,d\n", "one column of numbers"),
        ("a,b,c\n1,2,3\n4,5,6\n", "3 columns of numbers, where there must be two (found: a, b, c)"),
        ("1,2,3\n4,5,6\n", "3 columns of numbers and no header"),
        ("x,X,y\n1,2,3\n", "2 columns named x"),
        ("x,y,weight,WEIGHT\n1,2,3,4\n", "2 columns named weight"),
        ("x,y\n1,2\n3,four\n5,6\n7,eight\n", "line 3, column y: 'four'"),
        ("x,y\n1,2\n3,four\n5,6\n7,eight\n", "(2 rows are like it)"),
        ("a\x1b[31m,b\u202e\n1,c\n", "(found: a\ufffd[31m, b\ufffd)"),
        ("1,2\n3,four\n5,6\n", "line 2, column 2: 'four'"),
        ("nan,nan\n1,2\n3,4\n5,6\n", "line 1, column 1: 'nan'"),
        ("NA,N/A\n1,2\n3,4\n5,6\n", "line 1, column 1: 'NA'"),
        ("1.2.3,4.5.6\n1,2\n3,4\n5,6\n", "line 1, column 1: '1.2.3'"),
        (",,red\n1,2,red\n3,4,red\n5,6,blue\n", "line 1, column 1: nothing"),
        ("\n\nx,y\n1,2\n\n,4\n", "line 6, column x: nothing"),
        ('x,y,note\n1,2,"a\nb"\n3,four,c\n', "line 4, column y: 'four'"),
        ("x,y\n1,2\n3,nan\n5,inf\n-Infinity,3\n", "line 3, column y: 'nan'"),
        ("x,y\n1,2\n3,nan\n5,inf\n-Infinity,3\n", "(3 rows are like it)"),
        ("x,y\n1,2\n3\n", "line 3, column y: nothing"),
        ("x,y\n1,2\n3,4,5,6\n", "line 3 has 4 cells where the first line has 2"),
        ("x,y\n1,2\n3,4,5\n", "line 3 has 3 cells"),
        ("x,y\n1,2\n3,4,,5\n", "line 3 has 4 cells"),
        ("x,y\n1,2,3\n4,5,6\n", "line 2 has 3 cells"),
        ("x,y\n1e308,2\n-1e308,4\n", "line 2, column x: '1e308'"),
        ("x,y\n1," + "1" * 5000 + "\n", "line 2, column y"),
        ("x,y\nTrue,1\nTrue,2\nTrue,3\n", "line 2, column x: 'True'"),
        ("x,y\n1_0,1\n3,2\n", "line 2, column x: '1_0'"),
        ("x,y\n0x10,1\n3,2\n", "line 2, column x: '0x10'"),
        ("x,y\n１,1\n3,2\n", "line 2, column x: '１'"),
        ('x,y\n"1,000",2\n3,4\n', "line 2, column x: '1,000'"),
        ("1,234;5,678\n2,345;6,789\n", "decimal or in thousands"),
        ("1.234,5;2.345,6\n3.456,7;4.567,8\n", "could be two numbers"),
        ("1,5 2,5\n3,5 4,5\n", "could be two numbers"),
        (
            "1,5;2.5\n3,5;4.5\n5,5;6.5\n",
            "'1,5' has a comma, but '2.5' in line 1, column 2, a point",
        ),
        ("#ff0000,1,2\nred,3,4\nblue,5,7\n", "reads like a row"),
        ("x,y\n1,2\n# more\n3,4\n", "line 3, column x: '# more'"),
        ('x,y,note\n1,2,"a\n3,4,b\n', "line 2: a quoted cell does not end"),
        ("x,y\n1,2\n3," + "z" * 200_000, "line 3, column y: 'zzzz"),
        ("x,y,weight\n1,2,1\n3,4,0\n5,7,1\n", "line 3, column weight: '0' where a weight"),
        ("x,y,weight\n1,2,1\n3,4,\n5,7,1\n", "line 3, column weight: nothing"),
        (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "is binary"),
        (b"x,y\n1,2\n\x01\x02\xff", "is binary"),
        ("x,y\n1,2\n".encode("utf-16-le"), "is binary"),
        (b"x,y,note\n1,2,a\n3,4,\xe9\n", "line 3: byte 0xe9 (byte 20 of the file) is not UTF-8"),
        ("x,y\n1,2\n".encode("utf-16") + b"\0", "line 3: byte 0x00"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_bad_text_is_refused_with_line_column_and_cure(tmp_path, content, said):
    assert said in refusal(write(tmp_path, "bad.csv", content))


HUGE = npy(np.array(PLACES)).replace(b"(3, 2), }       ", b"(10000000000,2)}")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("bad.json", "", "is empty"),
        ("bad.json", "[[1, 2], [3, 4]", "line 1, column 16 is not JSON"),
        ("bad.json", "[" * 100_000, "nested too deep"),
        ("bad.json", '{"x":' * 100_000, "nested too deep"),
        ("bad.json", f"[[1, 2], [{'1' * 5000}, 3], [4, 5]]", "row 2, column x: inf"),
        ("bad.json", "[[1, 2], [NaN, 3], [4, 5]]", "row 2, column x: nothing or NaN"),
        ("bad.json", '[[1, 2], [3, "4"], [5, null]]', 'row 2, column y: "4"'),
        ("bad.json", "[[1, 2], [3, 4], [true, 5]]", "row 3, column x: true"),
        ("bad.json", "[[1, 2], [3, 4, 5]]", "row 2: a list of 3 where a pair"),
        ("bad.json", "[1, 2, 3]", "row 1: 1.0 where a pair"),
        ("bad.json", '[{"x": 1, "y": 2}, [3, 4]]', "row 2: a list of 2 where an object"),
        ("bad.json", '[{"x": 1, "y": 2}, {"x": 3}]', "row 2, column y: null"),
        ("bad.json", '{"x": [1, 2], "y": [1, 2, 3]}', "rows don't match"),
        ("bad.json", '{"x": {"a": 1, "b": 2}, "y": {"b": 1, "c": 2}}', "rows don't match"),
        ("bad.json", '{"x": 1, "y": 2}', "column x: 1.0 where a list"),
        ("bad.json", '{"x": [1], "x": [2]}', "the name 'x' twice"),
        ("bad.json", '{"x": [1], "X": [2], "y": [3]}', "2 columns named x"),
        ("bad.json", '{"type": "FeatureCollection"}', "no column of numbers"),
        ("bad.json", '{"\\ud800\\n": 1}', "(found: \ufffd)"),
        ("bad.json", "[]", "has no points"),
        ("bad.json", b"\xff[[1, 2]]", "line 1: byte 0xff"),
        ("bad.npy", b"", "is not an array"),
        ("bad.npy", b"x,y\n1,2\n", "is not an array"),
        ("bad.npy", npy(np.array(PLACES))[:-1], "is not an array"),
        ("bad.npy", HUGE, "is not an array"),
        ("bad.npy", npy(np.array([[1, None]], dtype=object), allow_pickle=True), "is not an array"),
        ("bad.npy", npy(np.array([["a", "b"]] * 3)), "must hold numbers"),
        ("bad.npy", npy(np.array([[True, False]] * 3)), "must hold numbers"),
        ("bad.npy", npy(np.array([[1j, 2]] * 3)), "must hold numbers"),
        ("bad.npy", npy(np.zeros((2, 9))), "has shape (2, 9). It must be (N, 2)"),
        ("bad.npy", npy(np.zeros((3, 9))), "Transpose it"),
        ("bad.npy", npy(np.zeros((9, 2), [("x", "f8"), ("y", "f8")])), "has shape (9, 2)"),
        ("bad.npy", npy(np.array(5.0)), "has shape ()"),
        ("bad.npy", npy(np.array([[1, 2], [np.nan, 4], [5, 6]])), "row 2, column x"),
        ("bad.npy", npy(np.zeros(3, [("x", "f8"), ("y", "U3")])), "column y is of type <U3"),
        ("bad.parquet", b"", "is not a Parquet file"),
        ("bad.parquet", parquet(WEIGHTED)[:-9], "is not a Parquet file"),
        ("bad.parquet", parquet(WEIGHTED.assign(y="a")), "column y is of type"),
        ("bad.parquet", parquet(WEIGHTED.assign(X=1)), "2 columns named x"),
        ("bad.parquet", parquet(pd.DataFrame({"a": [1], "b": [2], "c": [3]})), "3 columns of"),
        ("bad.parquet", parquet(pd.DataFrame({"x": [1, None], "y": [2, 3]})), "row 2, column x"),
        ("bad.parquet", parquet(pd.DataFrame({"x": [1], "y": [2]})[:0]), "0 distinct points"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_other_bad_files_are_refused_with_row_column_and_cure(tmp_path, name, content, said):
    assert said in refusal(write(tmp_path, name, content))


SIDES = pd.DataFrame(PLACES, columns=["left", "right"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("own.csv", '"sep=;"\nx;y\n1;2\n3;4\n5;7\n'),
        ("own.csv", "SEP=\t\nx\ty\n1\t2\n3\t4\n5\t7\n"),
        ("own.csv", SIDES.to_csv()),
        ("own.csv", SIDES.reset_index().to_csv()),
        ("own.parquet", SIDES.iloc[[0, 1, 2]].to_parquet()),
        ("own.parquet", SIDES.set_axis([7, 8, 9]).to_parquet()),
        ("own.json", SIDES.to_json(orient="split")),
        ("own.json", pd.DataFrame(PLACES).assign(note="a").to_json(orient="split")),
        ("own.csv", "My measurements, 2024\nx,y\n1,2\n3,4\n5,7\n"),
        ("own.csv", '"By hand, in May"\n\nname;x;y\na;1;2\nb;3;4\nc;5;7\n'),
        ("own.csv", "x;y\n" + "1;2\n3;4\n5;7\n" * 50 + '"1,0";2\n'),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_excel_and_pandas_add_is_no_point(tmp_path, name, content):
    table = tables.read(write(tmp_path, name, content))
    assert table[:3].to_numpy().tolist() == PLACES


LABELS = pd.DataFrame({"x": ["red", "blue", "red"], "y": [1.0, 2, 3]})


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("bad.csv", "My measurements\nleft,right\n1,2\n3,4\n", "line 1: My measurements alone"),
        ("bad.csv", "Measurements\n1 2\n3 4\n", "Delete that line, or begin it with #"),
        ("bad.csv", LABELS.to_csv(index=False), "line 2, column x: 'red' where a finite number"),
        (
            "bad.csv",
            "x,y,n\n1,2,a\n3,4,,,5\n" * 80,
            "line 3 has 5 cells where the first line has 3",
        ),
        ("bad.csv", 'x,y,n\n1,2,"a\nb"\n' + "1,2,\n" * 120 + "1,2,3,4,5\n", "line 124 has 5 cells"),
        (
            "bad.csv",
            'x,y,n\n1,2,"a\nb"\n' + "1,2,\n" * 120 + '1,2,"\n3,4,5\n',
            "line 124: a quoted",
        ),
        ("bad.csv", 'x,y\n1,2\n"3,4\n', "line 3: a quoted cell does not end"),
        ("bad.csv", '"x,y\n1,2\n', "a quoted cell does not end"),
        (
            "bad.csv",
            "x;y\n" + "1,5;2,5\n" * 150 + "1.5;2.5\n",
            "line 2, column x: '1,5' has a comma, but '1.5' in line 152, column x, a point",
        ),
        (
            "bad.json",
            LABELS.to_json(orient="list" if False else "columns"),
            'row 1, column x: "red"',
        ),
        (
            "bad.json",
            '{"columns": ["x", "y"], "data": [[1, 2], [3]]}',
            "row 2 of data: a list of 1",
        ),
        ("bad.json", '{"columns": ["x", "x"], "data": [[1, 2]]}', "the name 'x' twice"),
        ("bad.json", '{"columns": ["x", "y"], "data": []}', "0 distinct points"),
        ("bad.parquet", parquet(LABELS), "column x is of type large_string, with 'red' in row 1"),
        ("bad.parquet", parquet(LABELS[:0]), "column x is of type"),
        (
            "bad.npy",
            npy(np.array([[1, 2, 3], [4, 5, -6], [7, 8, 9]])),
            "row 2: -6 in the third column",
        ),
        ("bad.npy", npy(np.array([[1, 2, 0.0], [4, 5, 6]])), "numpy.save(path, points[:, :2])"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_other_programs_write_is_refused_with_the_cure(tmp_path, name, content, said):
    assert said in refusal(write(tmp_path, name, content))


@pytest.mark.parametrize("suffix", tables.SUFFIXES)
def test_what_is_no_readable_file_is_refused(tmp_path, suffix):
    refusal(tmp_path / f"nowhere{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    refusal(tmp_path / f"folder{suffix}")


def test_duplicates_are_kept(tmp_path):
    table = tables.read(write(tmp_path, "own.csv", "x,y\n" + "1,2\n3,4\n5,6\n" * 7))
    assert len(table) == 21


def test_clean_files_are_left_to_the_parser_in_c(tmp_path, monkeypatch):
    monkeypatch.delattr(delimited, "_numbers_in_cells")
    rows = "".join(f"{i};a;{i * i},5\n\n" for i in range(500))
    table = tables.read(write(tmp_path, "own.csv", f"x;note;y\n{rows};;\n"))
    assert table["y"].tolist() == [i * i + 0.5 for i in range(500)]


def test_parquet_reads_no_column_that_it_does_not_need(tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    asked = []
    read = pq.ParquetFile.read
    monkeypatch.setattr(
        pq.ParquetFile, "read", lambda s, columns: asked.extend(columns) or read(s, columns=columns)
    )
    tables.read(write(tmp_path, "own.parquet", parquet(WEIGHTED.assign(note="a", more=1))))
    assert asked == ["x", "y", "Weight"]


coordinates = st.one_of(
    st.floats(-1e3, 1e3, allow_subnormal=False),
    st.floats(-1e99, 1e99, allow_subnormal=False).filter(lambda v: v == 0 or abs(v) > 1e-99),
    st.integers(-(10**6), 10**6).map(float),
)
labels = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), include_characters="\n"),
    max_size=8,
).map("label {}".format)


@st.composite
def points_of(draw):
    places = np.array(draw(st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=9)))
    assume(len(np.unique(places + 0.0, axis=0)) >= 3)
    assume(places.std(0).max() > 0)
    if draw(st.booleans()):
        weights = draw(st.lists(st.floats(1e-9, 1e9), min_size=len(places), max_size=len(places)))
        places = np.column_stack((places, weights))
    return pd.DataFrame(places, columns=["x", "y", "weight"][: places.shape[1]])


@st.composite
def text_of(draw):
    """Points and a file that holds them, in a way of its own."""
    table = draw(points_of())
    separator = draw(st.sampled_from(",;\t"))
    comma = separator != "," and draw(st.booleans())
    names = list(table.columns)
    cells = {name: [repr(float(v)) for v in table[name]] for name in names}
    if comma:
        cells = {name: [cell.replace(".", ",") for cell in cells[name]] for name in names}
        shown = [cell for name in names for cell in cells[name] if "," in cell]
        assume(shown and not all(layout.THOUSANDS.fullmatch(cell) for cell in shown))
    header = draw(st.booleans()) or "weight" in names
    order = draw(st.permutations(names)) if header else names
    for i in range(draw(st.integers(0, 2))):
        extra = f"note {i}"
        cells[extra] = draw(st.lists(labels, min_size=len(table), max_size=len(table)))
        order = list(order)
        order.insert(draw(st.integers(0, len(order))), extra)
    buffer = io.StringIO()
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    ending = draw(st.sampled_from(["\n", "\r\n"]))
    writer = csv.writer(buffer, delimiter=separator, quoting=quoting, lineterminator=ending)
    if header:
        case = draw(st.sampled_from([str.lower, str.upper, " {} ".format]))
        writer.writerow([case(name) for name in order])
    for row in zip(*(cells[name] for name in order), strict=True):
        buffer.write(draw(st.sampled_from(["", "", ending])))
        writer.writerow(row)
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
    return table, buffer.getvalue().encode(encoding)


@settings(max_examples=300)
@given(case=text_of(), suffix=st.sampled_from([".csv", ".tsv", ".txt"]))
def test_what_is_written_as_text_is_read_back_bit_for_bit(folder, case, suffix):
    table, content = case
    pd.testing.assert_frame_equal(
        tables.read(write(folder, f"own{suffix}", content)), table, check_exact=True
    )


@given(table=points_of(), digits=st.integers(8, 12))
def test_rounded_decimals_are_within_a_millionth_of_the_extent(folder, table, digits):
    extent = np.ptp(table[["x", "y"]].to_numpy(), 0)
    assume((extent > 1e-1 * table[["x", "y"]].abs().max()).all())
    content = table.to_csv(index=False, float_format=f"%.{digits}e")
    back = tables.read(write(folder, "own.csv", content))
    assert len(back) == len(table)
    assert (abs(back - table)[["x", "y"]].max() <= 1e-6 * extent).all()


@given(table=points_of(), how=st.sampled_from(["records", "list", "columns", "pairs"]))
def test_what_is_written_as_json_is_read_back_bit_for_bit(folder, table, how):
    table = table[["x", "y"]] if how == "pairs" else table
    if how == "columns":
        content = {name: {str(i): v for i, v in enumerate(table[name])} for name in table}
    else:
        content = table.to_numpy().tolist() if how == "pairs" else table.to_dict(how)
    back = tables.read(write(folder, "own.json", json.dumps(content)))
    pd.testing.assert_frame_equal(back, table, check_exact=True)


@given(table=points_of(), how=st.sampled_from(["array", "fortran", "records"]))
def test_what_is_written_as_an_array_is_read_back_bit_for_bit(folder, table, how):
    values = table.to_records(index=False) if how == "records" else table.to_numpy()
    content = npy(np.asfortranarray(values) if how == "fortran" else values)
    back = tables.read(write(folder, "own.npy", content))
    pd.testing.assert_frame_equal(back, table, check_exact=True)


@settings(max_examples=50)
@given(table=points_of(), order=st.permutations(["x", "y", "note"]))
def test_what_is_written_as_parquet_is_read_back_bit_for_bit(folder, table, order):
    order = [*order, *(["weight"] if "weight" in table else [])]
    content = parquet(table.assign(note="a")[order])
    back = tables.read(write(folder, "own.parquet", content))
    pd.testing.assert_frame_equal(back, table, check_exact=True)


def is_table_or_refusal(path):
    try:
        table = tables.read(path)
    except PointillistError as error:
        assert str(path) in str(error)
        assert len(str(error).splitlines()) <= 2
        return
    assert len(table) >= 3
    assert np.isfinite(table.to_numpy()).all()


@given(content=st.binary(max_size=200), suffix=st.sampled_from(tables.SUFFIXES))
def test_random_bytes_raise_nothing_but_our_error(folder, content, suffix):
    is_table_or_refusal(write(folder, f"any{suffix}", content))


soup = st.text(st.sampled_from("xy,;\t \n\r\"#.-+e0123456789'[]{}:nai\x1a"), max_size=60)


@settings(max_examples=400)
@given(content=soup, suffix=st.sampled_from([".csv", ".json"]))
def test_random_text_raises_nothing_but_our_error(folder, content, suffix):
    is_table_or_refusal(write(folder, f"any{suffix}", content))


VALID = {
    ".csv": b'# made\nx,y,weight,note\n1,2,.5,"a\nb"\n3,4,1,\n\n5,7,2,c\n',
    ".txt": b"1,5;2,5\n3;4\n5;7\n",
    ".json": b'[{"x": 1, "y": 2}, {"x": 3, "y": 4}, {"x": 5, "y": 7e0}]',
    ".npy": npy(np.array(PLACES)),
    ".parquet": parquet(WEIGHTED),
}


@st.composite
def damaged(draw):
    suffix = draw(st.sampled_from(sorted(VALID)))
    content = bytearray(VALID[suffix])
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        stop = min(len(content), start + draw(st.integers(0, 4)))
        content[start:stop] = draw(st.binary(max_size=4))
    return suffix, bytes(content[: draw(st.integers(0, len(content)))] or content)


@settings(max_examples=800)
@given(file=damaged())
def test_damaged_files_raise_nothing_but_our_error(folder, file):
    suffix, content = file
    is_table_or_refusal(write(folder, f"any{suffix}", content))


LINES = [
    *("1,2", "3,4.5", "-5e1,7", '"1","2"', " 2 , 3 ", "1,2,", '1,"2\n"', "1,\t2", "1,2\r3,4"),
    *("", " ", ",", ",,,", "1", "1,,", "1,2,3", '"1', '1,2"'),
    *("True,False", "nan,1", "1,inf", "a,b"),
]


@settings(max_examples=400)
@given(rows=st.lists(st.sampled_from(LINES), max_size=8))
def test_numbers_that_pandas_infers_are_those_in_the_cells(rows):
    """The cells as text are the definition; what pandas infers must be the same or nothing."""
    content = ("x,y\n1,2\n" + "\n".join(rows)).replace("\r", "\n").encode()
    try:
        found = layout.find(content, "own", Wanted())
        inferred = delimited._numbers(delimited._table(content, found), found)
    except (PointillistError, pd.errors.ParserError):
        return
    if inferred is not None:
        in_cells = delimited._numbers_in_cells(content, found, "own")
        assert inferred.to_numpy().tolist() == in_cells.to_numpy().tolist()


FILES = Path(__file__).parent / "tables"


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("lat_lon.csv", (2.35, 48.85), (7.75, 48.58)),  # a map: longitude is x
        ("latlon.json", (2.35, 48.85), (5.37, 43.3)),
        ("decimal_comma_late.csv", (0, 0), (3.25, 4.75)),
        ("third_points.csv", (1.5, 2.5), (5.5, 7.5)),
        ("excel_sep.csv", (1.5, 10.25), (-5.5, 0.5)),
        ("columns_reordered.json", (1, 2), (5, 7)),
    ],
)
def test_tables_as_other_programs_write_them(name, first, last):
    points = tables.read(FILES / name)[["x", "y"]].to_numpy()
    assert tuple(points[0]) == first
    assert tuple(points[-1]) == last


def test_what_a_table_may_not_mean_is_said(caplog):
    tables.read(FILES / "pandas_default_header.csv")
    assert "begins with 0,1, which is taken as a point" in caplog.text
    assert list(tables.read(FILES / "xyz.npy")) == ["x", "y", "weight"]
    assert "the third is taken for weights" in caplog.text
    with pytest.raises(PointillistError, match="line 1: 5 alone, as a count"):
        tables.read(FILES / "count_first.txt")


def test_columns_are_named_by_parameters(tmp_path):
    file = tmp_path / "log.csv"
    file.write_text("id,sensor_x,sensor_y,hits\n1,2.5,3,1\n2,4,5,2\n3,6,8,3\n")
    table = sources.read(sources.Origin("log", "file", file))
    options = Source(x="sensor_x", y="SENSOR_Y", weight="hits")
    assert table.place(options).to_numpy().tolist() == [[2.5, 3, 1], [4, 5, 2], [6, 8, 3]]
    with pytest.raises(PointillistError, match=r"source\.x=NAME,source\.y=NAME"):
        table.place(Source())
    with pytest.raises(
        PointillistError, match=r"'sensorx' for source\.x\. Did you mean 'sensor_x'"
    ):
        table.place(Source(x="sensorx"))


@pytest.mark.parametrize(
    ("header", "x", "y"),
    [
        ("start_lat,start_lng", "start_lng", "start_lat"),
        ("y_mm,x_mm", "x_mm", "y_mm"),
        ("left,right", "left", "right"),
        ("latitude,longitude", "longitude", "latitude"),
    ],
)
def test_what_is_taken_for_x_and_y_is_not_mirrored_and_is_said(tmp_path, caplog, header, x, y):
    file = tmp_path / "map.csv"
    file.write_text(f"{header}\n1,20\n3,50\n4,90\n")
    with caplog.at_level("INFO"):
        points = tables.read(file)
    first = dict(zip(header.split(","), (1, 20), strict=True))
    assert points.iloc[0].tolist() == [first[x], first[y]]
    assert f"x is {x}, y is {y}." in caplog.text


@pytest.mark.parametrize(
    ("content", "wanted", "said"),
    [
        ("a,b\n1,2\n3,4\n5,9\n", Wanted("a", "a"), "source.x and source.y are one column, 'a'"),
        ("x,y,weight,weights\n1,2,3,4\n", None, "has the columns weight and weights. Say which"),
        ("lon,lng,lat\n1,2,3\n", None, "--params source.x=NAME"),
        (
            "x;y\n" + "1;2\n" * 150 + "1,234;5\n",
            None,
            "line 152, column x: '1,234' may be a decimal or in thousands",
        ),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(tmp_path, content, wanted, said):
    file = tmp_path / "own.csv"
    file.write_text(content)
    with pytest.raises(PointillistError) as error:
        tables.read(file, wanted)
    assert said in str(error.value)


def test_the_other_column_follows_from_one(tmp_path):
    file = tmp_path / "own.csv"
    file.write_text("a,b\n1,2\n3,4\n5,9\n")
    assert tables.read(file, Wanted(x="b")).to_numpy().tolist() == [[2, 1], [4, 3], [9, 5]]
