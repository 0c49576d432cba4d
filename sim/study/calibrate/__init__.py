"""Engine constants fitted on measured serving points."""
