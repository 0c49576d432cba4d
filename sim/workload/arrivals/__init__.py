"""When requests arrive: open-loop processes, and the closed loop."""
