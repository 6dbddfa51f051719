import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vaescape.data.idx import read_idx
from vaescape.errors import DataError

SIZES = (3, 4, 2)
ARRAY = np.arange(24, dtype=np.uint8).reshape(SIZES)
CONTENT = bytes([0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 2, *range(24)])
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FORMS = {"plain": CONTENT, "gzip": gzip.compress(CONTENT, mtime=0)}
shared_folder = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def write(folder: Path, content: bytes) -> Path:
    path = folder / "some-idx3-ubyte"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("digest", [SHA256, None])
def test_reads_what_was_written(tmp_path, form, digest):
    found = read_idx(write(tmp_path, FORMS[form]), SIZES, digest)
    np.testing.assert_array_equal(found, ARRAY)


@pytest.mark.parametrize("form", FORMS)
def test_every_truncation_is_refused(tmp_path, form):
    for length in range(len(FORMS[form])):
        with pytest.raises(DataError, match="some-idx3-ubyte"):
            read_idx(write(tmp_path, FORMS[form][:length]), SIZES)


def test_every_bit_flip_is_refused_where_the_digest_is_known(tmp_path):
    for bit in range(8 * len(CONTENT)):
        flipped = bytearray(CONTENT)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataError, match="some-idx3-ubyte"):
            read_idx(write(tmp_path, bytes(flipped)), SIZES, SHA256)


def test_every_bit_flip_of_a_header_is_refused_without_a_digest(tmp_path):
    for bit in range(8 * 16):
        flipped = bytearray(CONTENT)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataError, match="expected an IDX file of 3 × 4 × 2"):
            read_idx(write(tmp_path, bytes(flipped)), SIZES)


@pytest.mark.parametrize("digest", [SHA256, None])
def test_a_bit_flip_of_a_compressed_file_is_refused_or_changes_nothing(tmp_path, digest):
    """gzip's header has bytes, such as the time, that the content does not depend on."""
    refused = 0
    for bit in range(8 * len(FORMS["gzip"])):
        flipped = bytearray(FORMS["gzip"])
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            found = read_idx(write(tmp_path, bytes(flipped)), SIZES, digest)
        except DataError:
            refused += 1
        else:
            np.testing.assert_array_equal(found, ARRAY)
    assert refused > 8 * len(CONTENT) / 2


@shared_folder
@given(content=st.binary(max_size=80), packed=st.booleans(), head=st.integers(0, 16))
def test_no_bytes_raise_anything_else(tmp_path, content, packed, head):
    made = CONTENT[:head] + content
    with pytest.raises(DataError):
        read_idx(write(tmp_path, gzip.compress(made) if packed else made), SIZES, SHA256)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><title>Not found</title>", "a web page"),
        (b"PK\x03\x04 something", "something else, beginning"),
        (CONTENT[:9], "ends after 9 bytes, within its header"),
        (b"\0\0\x0d" + CONTENT[3:], "elements of type 0x0d"),
        (CONTENT[:7] + b"\2" + CONTENT[8:32], "an IDX file of 2 × 4 × 2"),
        (CONTENT[:7] + b"\0" + CONTENT[8:16], "an IDX file of 0 × 4 × 2"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "4,294,967,295 × 4,294,967,295"),
        (CONTENT[:-1], r"cut short\. Expected 40 bytes, .* Got 39"),
        (CONTENT + b"\0", "too long"),
        (FORMS["gzip"][:-9], "cannot be read or unpacked"),
    ],
)
def test_says_what_came_instead(tmp_path, content, told):
    with pytest.raises(DataError, match=told) as caught:
        read_idx(write(tmp_path, content), SIZES)
    assert "Replace the file" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: there is no such file\. Expected an IDX"):
        read_idx(tmp_path / "nowhere", SIZES)


def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    import tracemalloc

    bomb = write(tmp_path, gzip.compress(CONTENT + bytes(50_000_000)))
    tracemalloc.start()
    with pytest.raises(DataError, match="too long"):
        read_idx(bomb, SIZES)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000
