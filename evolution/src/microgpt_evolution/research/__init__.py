"""Research studies: a change of a program is kept if it lowers the loss, also on fresh seeds."""
