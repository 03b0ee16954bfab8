"""Random arrays go from NumPy through attention::io and back.

    python3 round_trip_with_numpy.py REWRITE

REWRITE is the program made of rewrite.cpp. What it wrote must load as the same arrays; npy files and the
members of stored npz files must also be what NumPy itself writes, byte for byte; Python's zipfile must find no fault with npz files.
"""

import io
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import numpy as np

TYPES = ["f2", "f4", "f8", "b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]


def random_array(rng):
    shape = tuple(rng.integers(0, 5, rng.integers(0, 7)))
    dtype = np.dtype(rng.choice(list("<>=")) + rng.choice(TYPES))
    if dtype.kind == "b":
        values = rng.random(shape) < 0.5
    else:
        size = dtype.itemsize * int(np.prod(shape, dtype=int))
        values = np.frombuffer(rng.bytes(size), dtype).reshape(shape)
    return np.asarray(values, order=rng.choice(["C", "F"]))


def native(array):
    """As attention writes it: in row-major order and this machine's byte order."""
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def bytes_of(save, *args, **arrays):
    file = io.BytesIO()
    save(file, *args, **arrays)
    return file.getvalue()


def members_of(file):
    """Name, size as stored and bytes of each member. (The records around them differ between versions of zipfile.)"""
    with zipfile.ZipFile(file) as archive:
        return [(member.filename, member.compress_size, archive.read(member)) for member in archive.infolist()]


def check(holds, what):
    if not holds:
        sys.exit(f"failed: {what}")


def main():
    rng = np.random.default_rng(1)
    arrays = {f"a{i}": random_array(rng) for i in range(300)}
    archives = {f"z{i}": {f"{key} ä{i}": arrays[f"a{10 * i + key}"] for key in range(10)} for i in range(30)}
    with tempfile.TemporaryDirectory() as folder:
        theirs, ours = pathlib.Path(folder, "numpy"), pathlib.Path(folder, "attention")
        theirs.mkdir()
        ours.mkdir()
        for name, array in arrays.items():
            np.save(theirs / f"{name}.npy", array)
        for i, (name, members) in enumerate(archives.items()):
            (np.savez_compressed if i % 2 else np.savez)(theirs / f"{name}.npz", **members)
        subprocess.run([sys.argv[1], theirs, ours], check=True)

        for name, array in arrays.items():
            path = ours / f"{name}.npy"
            check(same(np.load(path), native(array)), path)
            check(path.read_bytes() == bytes_of(np.save, native(array)), f"the bytes of {path}")
        for name, members in archives.items():
            expected = {key: native(array) for key, array in members.items()}
            for path in [ours / f"{name}.npz", ours / f"deflated-{name}.npz"]:
                check(zipfile.ZipFile(path).testzip() is None, path)
                loaded = np.load(path)
                check(loaded.files == list(expected), f"the names in {path}")
                check(all(same(loaded[key], expected[key]) for key in expected), path)
            check(members_of(ours / f"{name}.npz") == members_of(io.BytesIO(bytes_of(np.savez, **expected))), name)
            sizes = [size for _, size, _ in members_of(ours / f"deflated-{name}.npz")]
            theirs_deflated = io.BytesIO(bytes_of(np.savez_compressed, **expected))
            check(sizes == [size for _, size, _ in members_of(theirs_deflated)], f"the sizes in {name}.npz")
    print(f"{len(arrays)} arrays and {len(archives)} archives, NumPy {np.__version__}")


if __name__ == "__main__":
    main()
