"""Read files of `torch.save`, after checking that they contain only tensors.

Such a file is a zip archive of a pickle and the numbers of each tensor. PyTorch reads it with
`weights_only`, which runs no code of the file, but lets the file request any amount of memory.
Therefore, the functions that the pickle calls are checked first.
"""

import io
import pickletools
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt.errors import CheckpointError
from microgpt.extras import check_extra
from microgpt.imports.foreign import check_names
from microgpt.printable import printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

ZIP = b"PK\x03\x04"  # first bytes
PICKLE = "data.pkl"  # name in the archive, in a directory
MAX_PICKLE = 2**21  # bytes; an opcode of one byte can take 100 bytes of memory
STORAGES = ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Bool", "Byte")
ALLOWED = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    *(f"torch {name}Storage" for name in STORAGES),
}
CALLS = ("GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4")  # opcodes that name functions
PARTS = ("model", "state_dict", "model_state_dict")  # keys of the weights beside other things
WRAPPERS = re.compile(r"^(_orig_mod\.|module\.)+|\.weight$")  # of compiled and parallel modules


def decode_torch(content: bytes, path: Path) -> "dict[str, NDArray[Any]]":
    """Return the tensors of a model by name, without the parts of names that PyTorch adds.

    Raises:
        CheckpointError: the file is damaged, or contains something other than tensors.
        ConfigError: PyTorch is not installed.
    """
    check_names(_strings(content, path), path)
    check_extra("torch", "files of torch.save", "torch")
    import torch

    try:
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        raise _damaged(path, printable(str(error).split("\n")[0])) from error
    for part in PARTS:
        if isinstance(found, dict) and isinstance(found.get(part), dict):
            found = found[part]
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} has no tensors with names; save a state_dict")
    tensors = {}
    for name, tensor in found.items():
        if not (isinstance(name, str) and isinstance(tensor, torch.Tensor)):
            raise CheckpointError(f"{path}: {name!r:.80} is not a tensor; save a state_dict")
        if tensor.nbytes > tensor.untyped_storage().nbytes():
            raise _damaged(path, f"{printable(name)} has fewer numbers than its shape says")
        tensor = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
        tensors[WRAPPERS.sub("", name)] = tensor.detach().numpy()
    return tensors


def _strings(content: bytes, path: Path) -> set[str]:
    """Return the strings in the pickle, such as names; raise CheckpointError if it is not safe."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
            size = sum(entry.file_size for entry in entries)
            (pickle,) = [entry for entry in entries if entry.filename.endswith(f"/{PICKLE}")]
            if packed or size > len(content) or pickle.file_size > MAX_PICKLE:
                raise _damaged(path, "its parts are compressed or too large")
            found = set[str]()
            for code, arg, _ in pickletools.genops(archive.read(pickle)):
                if code.name in CALLS and arg not in ALLOWED:
                    what = printable(str(arg).replace(" ", ".")) if arg else code.name
                    raise CheckpointError(
                        f"{path} contains more than weights: it calls {what}; save a state_dict"
                    )
                if isinstance(arg, str):
                    found.add(arg)
            return found
    except CheckpointError:
        raise
    except Exception as error:  # zipfile and pickletools raise many kinds for damaged files
        raise _damaged(path, printable(str(error))) from error


def _damaged(path: Path, problem: str) -> CheckpointError:
    return CheckpointError(f"{path} is damaged, or not a file of torch.save: {problem}")
