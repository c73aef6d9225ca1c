"""`microgpt report`: pictures of searches, on a page that needs nothing but itself."""
