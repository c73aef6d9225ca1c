"""Research studies: a change to a program is kept if it lowers the loss, also with fresh seeds."""
