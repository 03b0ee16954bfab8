"""Writes tests/io/data/*.safetensors: small files made by the official library, which the tests read and compare with.

    pip install safetensors==0.8.0 numpy==2.4.6 ml_dtypes==0.6.0
    python3 make_safetensors_data.py

The elements are those of make_test_data.py. Metadata of several entries come in an order that differs from run to run.
"""

import ml_dtypes
from safetensors.numpy import save_file

from make_test_data import FOLDER, TYPES, array

NAMES = ["", " ", "a\"b", "a\\b", "a/b", "b\bf\fn\nr\rt\t", "\0", "\x01\x1f", "\x7f", "größe", "ключ", "重み", "\u2028", "\ufeff",
         "\uffff", "😀", "__metadata", "A", "B", "a.10", "a.9", "\\u0041"]


def save(name, arrays, metadata=None):
    save_file(arrays, FOLDER / f"{name}.safetensors", metadata)


def main():
    floats = array("float32", (2, 3))
    save("types", {name: array(name, (2, 3)) for name in TYPES} | {"bfloat16": floats.astype(ml_dtypes.bfloat16)})
    save("shapes", {"scalar": array("float64", ()), "vector": array("float32", (5,)), "empty": array("float32", (3, 0, 2)),
                    "rank6": array("int8", (1, 2, 1, 3, 1, 2)),
                    "long": array("int8", (0, 1, 1, 10**3, 10**6, 10**9))})
    save("names", {name: array("int16", (i + 1,)) for i, name in enumerate(NAMES)})
    save("no_arrays", {})
    save("metadata", {"q": floats}, {"format": "pt"})
    save("metadata_only", {}, {"format": "pt"})
    save("metadata_several", {"q": floats, "\"": floats[0]}, {name: name + "!" for name in NAMES})
    save("reject_float8", {"q": floats.astype(ml_dtypes.float8_e4m3fn)})
    save("reject_complex", {"q": floats.astype("complex64")})


if __name__ == "__main__":
    main()
