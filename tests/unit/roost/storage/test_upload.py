"""Uploads: memory, file, limits, abort."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from roost.errors import TooBig, Unavailable
from roost.storage.upload import Upload, read_all


def test_small_stays_in_memory(tmp_path: Path) -> None:
    upload = Upload(10, folder=str(tmp_path / "in"), memory_octets=100)
    upload.write(b"12345")
    upload.write(memoryview(b"67890"))
    upload.write(bytearray(b""))
    assert upload.data() == b"1234567890" == upload.data()
    assert (upload.size_octets, upload.path) == (10, None)
    assert not (tmp_path / "in").exists()


def test_what_was_written_is_copied() -> None:
    upload = Upload()
    buffer = bytearray(b"before")
    upload.write(memoryview(buffer))
    buffer[:] = b"behind"
    assert upload.data() == b"before"


def test_large_goes_to_a_file(tmp_path: Path) -> None:
    with Upload(0, folder=str(tmp_path / "in"), memory_octets=8) as upload:
        for chunk in (b"12345", b"6789", b"0" * 10_000, b"end"):
            upload.write(chunk)
        assert upload.path is not None and os.stat(upload.path).st_mode & 0o777 == 0o600
        assert upload.data() == b"123456789" + b"0" * 10_000 + b"end"
        assert upload.size_octets == 10_012
    assert list((tmp_path / "in").iterdir()) == []


def test_without_a_folder_everything_is_memory() -> None:
    upload = Upload(memory_octets=1)
    upload.write(b"x" * 1000)
    assert upload.path is None and upload.data() == b"x" * 1000


def test_limit() -> None:
    with pytest.raises(TooBig, match="maximum of 5 octets"):
        Upload(6, limit_octets=5)
    upload = Upload(5, limit_octets=5)
    upload.write(b"12345")
    with pytest.raises(TooBig):
        upload.write(b"6")
    assert upload.size_octets == 5


def test_handed_over(tmp_path: Path) -> None:
    upload = Upload(folder=str(tmp_path), memory_octets=1)
    upload.write(b"hello")
    fd, path = upload.take_file()
    upload.abort()
    assert Path(path).read_bytes() == b"hello" and read_all(fd, 5) == b"hello"
    with pytest.raises(OSError, match="shorter"):
        read_all(fd, 6)
    os.close(fd)


def test_after_an_abort(tmp_path: Path) -> None:
    upload = Upload(folder=str(tmp_path), memory_octets=1)
    upload.write(b"hello")
    upload.abort()
    upload.abort()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Unavailable):
        upload.data()
    with pytest.raises(ValueError, match="closed"):
        upload.write(b"x")


def test_forgotten_uploads_clean_up(tmp_path: Path) -> None:
    upload = Upload(folder=str(tmp_path), memory_octets=1)
    upload.write(b"hello")
    del upload
    assert list(tmp_path.iterdir()) == []


def test_no_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    upload = Upload(folder=str(tmp_path / "file"), memory_octets=1)
    with pytest.raises(Unavailable) as caught:
        upload.write(b"hello")
    assert str(tmp_path) in caught.value.detail and str(tmp_path) not in caught.value.client_text
