"""What goes wrong and what is done about it, on a clock of days: no requests, no step times."""
