"""A course of exercises in which a learner writes a GPT; checks compare the computed numbers."""
