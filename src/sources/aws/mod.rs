//! AWS: describe calls in waves, metrics and logs, each answer an observation.
