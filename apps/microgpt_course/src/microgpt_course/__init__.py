"""The course: write a GPT in exercises, each checked by the numbers that it computes."""
