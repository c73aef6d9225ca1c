"""`microgpt info --data`: what is found and how it is printed."""
