"""`microgpt cache`: show or remove the machine code of the engine."""

import time

from microgpt_cli.terminal.console import print_or_discard
from microgpt_cli.terminal.options import flag


def cache(
    clear: bool = flag("--clear", "Remove the cached files; they are compiled again when needed."),
) -> None:
    """Show or remove the machine code of the engine.

    It is compiled on first use, for the processor of this computer, and kept. NUMBA_CACHE_DIR sets
    the directory.
    """
    from microgpt.engine.machine_code import cache_directory, cached_files
    from microgpt.errors import ConfigError
    from microgpt_cli.saved_directories import age

    n_bytes = 0
    try:
        directory, files = cache_directory(), cached_files()
        for file in files:
            status = file.stat()
            n_bytes += status.st_size
            if clear:
                file.unlink()
            else:
                kernel, size = file.name.split("-")[1], f"{status.st_size / 1e3:.0f} kB"
                used = age(time.time() - status.st_mtime)
                print_or_discard(f"{kernel:<20}  {size:>7}  used {used} ago")
    except OSError as error:
        raise ConfigError(f"cannot use {error.filename}: {error.strerror}") from error
    what = f"{len(files)} files, {n_bytes / 1e6:.1f} MB"
    print_or_discard(f"removed {what} from {directory}" if clear else f"{what} in {directory}")
