"""A course of exercises in writing a GPT, with checks of the numbers that the code computes."""
