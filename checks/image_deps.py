"""The dependency list in a binary: fails without one, and where a crate that is named is not in it."""

import json
import struct
import sys
import zlib


def section(binary: bytes, wanted: bytes) -> bytes:
    if binary[:5] != b"\x7fELF\x02":
        sys.exit("no ELF file of 64 bits")
    table, = struct.unpack_from("<Q", binary, 0x28)
    size, count, names = struct.unpack_from("<HHH", binary, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", binary, table + size * index) for index in range(count)]
    strings = headers[names][4]
    for name, _, _, _, offset, length in headers:
        begin = strings + name
        if binary[begin:binary.index(b"\0", begin)] == wanted:
            return binary[offset:offset + length]
    sys.exit("no dependency list in the binary")


with open(sys.argv[1], "rb") as file:
    packages = json.loads(zlib.decompress(section(file.read(), b".dep-v0")))["packages"]
names = {package["name"] for package in packages}
missing = set(sys.argv[2:]) - names
if missing:
    sys.exit(f"not in the dependency list: {sorted(missing)}")
print(len(names), "crates in the binary's own list")
