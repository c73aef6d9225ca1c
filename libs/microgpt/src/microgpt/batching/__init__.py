"""Many sequences decoded together, for the service and the command line."""
