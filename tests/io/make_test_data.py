"""Writes tests/io/data: small files made by NumPy, which the tests read and compare with.

    python3 make_test_data.py

Made with NumPy 2.4. Element i of each array, in row-major order, is (i - 3) / 2 for floats, i - 3 for
signed integers, 3 i for unsigned ones, and i % 3 == 0 for bools.
"""

import io
import pathlib
import zipfile

import numpy as np

FOLDER = pathlib.Path(__file__).parent / "data"
TYPES = ["float16", "float32", "float64", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16",
         "uint32", "uint64"]


def array(dtype, shape, order="C"):
    dtype = np.dtype(dtype)
    i = np.arange(np.prod(shape, dtype=int))
    values = {"f": (i - 3) / 2, "i": i - 3, "u": 3 * i, "b": i % 3 == 0}[dtype.kind]
    return np.asarray(values.astype(dtype).reshape(shape), order=order)


def save(name, values):
    np.save(FOLDER / name, values)


def save_version(name, values, version):
    with open(FOLDER / name, "wb") as file:
        np.lib.format.write_array(file, values, version=version)


class Unseekable(io.RawIOBase):
    """A stream that zipfile cannot go back in: sizes come after the data."""

    def __init__(self, file):
        self.file = file

    def writable(self):
        return True

    def write(self, data):
        return self.file.write(data)


def npz_arrays():
    return {"q": array("float32", (2, 3)), "mask": array("bool", (3, 1, 5)), "größe": array("int64", ()),
            "empty": array("uint16", (0, 4))}


def main():
    FOLDER.mkdir(exist_ok=True)
    for name in TYPES:
        save(f"{name}.npy", array(name, (2, 3, 4)))
        if np.dtype(name).itemsize > 1:
            save(f"big_endian_{name}.npy", array(np.dtype(name).newbyteorder(">"), (2, 3)))
    save("fortran_float32.npy", array("float32", (2, 3, 4), order="F"))
    save("fortran_big_endian_int16.npy", array(">i2", (3, 2), order="F"))
    save("scalar.npy", array("float64", ()))
    save("vector.npy", array("float32", (5,)))
    save("empty.npy", array("float32", (3, 0, 2)))
    save("rank6.npy", array("int8", (1, 2, 1, 3, 1, 2)))
    save("long_shape.npy", array("int8", (0, 1, 1, 10**3, 10**6, 10**9)))
    save_version("version2.npy", array("int32", (2, 3)), (2, 0))
    save_version("version3.npy", array("int32", (2, 3)), (3, 0))

    save("reject_object.npy", np.array([None, 1], dtype=object))
    save("reject_complex.npy", np.zeros(2, "c8"))
    save("reject_bytes.npy", np.array([b"ab"]))
    save("reject_string.npy", np.array(["ab"]))
    save("reject_datetime.npy", np.array(["2020-01-01"], "M8[D]"))
    save("reject_structured.npy", np.zeros(2, [("a", "<f4"), ("b", "<i4")]))
    save("reject_raw.npy", np.zeros(2, "V2"))
    save("reject_longdouble.npy", np.zeros(2, "g"))

    np.savez(FOLDER / "stored.npz", **npz_arrays())
    np.savez_compressed(FOLDER / "deflated.npz", **npz_arrays())
    np.savez(FOLDER / "no_arrays.npz")
    with open(FOLDER / "streamed.npz", "wb") as file:
        with zipfile.ZipFile(Unseekable(file), "w") as archive:
            for name, values in npz_arrays().items():
                info = zipfile.ZipInfo(f"{name}.npy")
                info.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(info, "w") as member:
                    np.lib.format.write_array(member, values)


if __name__ == "__main__":
    main()
