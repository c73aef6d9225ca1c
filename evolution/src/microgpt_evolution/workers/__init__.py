"""Worker pools (threads, processes, Dask) and the driver that uses them."""
