import struct
from pathlib import Path


def size_of_png(path: Path) -> tuple[int, int]:
    """Return width and height, from the header that each PNG begins with."""
    content = path.read_bytes()
    assert content[:16] == b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"
    assert content.endswith(b"IEND\xaeB`\x82")
    return struct.unpack(">II", content[16:24])
