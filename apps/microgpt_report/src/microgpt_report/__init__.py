"""Report pages and charts of training runs, searches and sweeps."""
