"""What can go wrong, each in a function that does it to a box a number of times while its clients are at work."""
