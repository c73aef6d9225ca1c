"""Report pages and charts of studies."""
