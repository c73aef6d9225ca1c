"""A course: write a GPT in exercises, each of which is checked by the numbers it computes."""
