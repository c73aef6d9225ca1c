"""Report pages and charts of trainings, searches and sweeps."""
