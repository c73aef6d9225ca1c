"""`microgpt info --data` and `eval`: what is found and how it is printed."""
