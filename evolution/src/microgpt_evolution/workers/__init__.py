"""Threads, processes and Dask workers, and the driver that uses them."""
